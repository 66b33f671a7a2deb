// SPDX-License-Identifier: Apache-2.0
// What the describers share. A describer writes lines of tab-separated cells, which are aligned at the end.
#pragma once

#include "base/time.h"
#include "kubectl/cmd/commands.h"
#include "kubectl/printer/keys.h"

struct cx_describe {
        struct cx_ctl *ctl;
        struct cx_buf *to;
        bool events;
        int64_t now;      // µs
        bool bare_labels; // further labels begin at the tab, without the level
};
typedef int cx_describe_fn(struct cx_describe *d, const json_t *object, struct cx_error *err);
struct cx_describer {
        const char *group, *kind;
        cx_describe_fn *describe;
};
extern const struct cx_describer cx_describers_core[], cx_describers_workloads[], cx_describers_node[],
        cx_describers_batch[], cx_describers_network[], cx_describers_rbac[];
int cx_describe_pod(struct cx_describe *d, const json_t *pod, struct cx_error *err) CX_CHECK;
int cx_describe_generic(struct cx_describe *d, const json_t *object, struct cx_error *err) CX_CHECK;
// "Pod Template:" and what is below it.
void cx_describe_template(struct cx_describe *d, const json_t *template);
// "  Volumes:" of a pod spec, at a level of two blanks each.
void cx_describe_volumes(struct cx_describe *d, const json_t *spec, int level);
// What kind of volume it is, of a pod's volume or a persistent volume's spec.
void cx_describe_volume_source(struct cx_describe *d, const json_t *volume, int level);
// Policy rules, a resource a line: four cells.
void cx_rule_rows(struct cx_describe *d, int level, const json_t *rules);
// "Containers:" or "Init Containers:"; statuses NULL: of a template.
void cx_describe_containers(struct cx_describe *d, const char *label, const json_t *containers, const json_t *statuses,
                            const json_t *pod, int level);

void cx_line(struct cx_describe *d, int level, const char *format, ...) CX_PRINTF(3, 4);
// "Labels:\ta=b\n\tc=d\n", sorted, "<none>" when empty. `separator` is "=" for labels and ": " for annotations.
void cx_describe_labels(struct cx_describe *d, int level, const char *title, const json_t *map);
void cx_describe_annotations(struct cx_describe *d, const json_t *object);
void cx_describe_name(struct cx_describe *d, const json_t *object); // and its namespace
// Name, namespace, labels and annotations.
void cx_describe_head(struct cx_describe *d, const json_t *object, bool namespaced);
void cx_describe_controller(struct cx_describe *d, const json_t *object); // "Controlled By:", when something does
void cx_describe_events(struct cx_describe *d, const json_t *object);
void cx_event_rows(struct cx_describe *d, const json_t *events, bool with_object);
// Owned texts.
char *cx_describe_time(const char *moment);             // "Sat, 21 Nov 2026 05:35:59 +0000"
char *cx_describe_since(int64_t now, const char *when); // "5m"; "<unknown>"
char *cx_text_of(const json_t *value);                  // scalars as text
