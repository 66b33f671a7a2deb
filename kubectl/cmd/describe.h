// SPDX-License-Identifier: Apache-2.0
// What the describers share. A describer writes lines of tab-separated cells, which are aligned at the end.
#pragma once

#include "kubectl/cmd/commands.h"
#include "kubectl/printer/keys.h"
#include "libcommon/base/time.h"

struct describe {
        struct ctl *ctl;
        struct cx_buf *to;
        bool events;
        int64_t now;      // µs
        bool bare_labels; // further labels begin at the tab, without the level
};
typedef int describe_fn(struct describe *d, const json_t *object, struct cx_error *err);
struct describer {
        const char *group, *kind;
        describe_fn *describe;
};
extern const struct describer describers_core[], describers_workloads[], describers_node[], describers_batch[],
        describers_network[], describers_rbac[];
int describe_pod(struct describe *d, const json_t *pod, struct cx_error *err) CX_CHECK;
int describe_generic(struct describe *d, const json_t *object, struct cx_error *err) CX_CHECK;
// "Pod Template:" and what is below it.
void describe_template(struct describe *d, const json_t *template);
// "  Volumes:" of a pod spec, at a level of two blanks each.
void describe_volumes(struct describe *d, const json_t *spec, int level);
// What kind of volume it is, of a pod's volume or a persistent volume's spec.
void describe_volume_source(struct describe *d, const json_t *volume, int level);
// Policy rules, a resource a line: four cells.
void rule_rows(struct describe *d, int level, const json_t *rules);
// "Containers:" or "Init Containers:"; statuses NULL: of a template.
void describe_containers(struct describe *d, const char *label, const json_t *containers, const json_t *statuses,
                         const json_t *pod, int level);

void describe_line(struct describe *d, int level, const char *format, ...) CX_PRINTF(3, 4);
// "Labels:\ta=b\n\tc=d\n", sorted, "<none>" when empty. `separator` is "=" for labels and ": " for annotations.
void describe_labels(struct describe *d, int level, const char *title, const json_t *map);
void describe_annotations(struct describe *d, const json_t *object);
void describe_name(struct describe *d, const json_t *object); // and its namespace
// Name, namespace, labels and annotations.
void describe_head(struct describe *d, const json_t *object, bool namespaced);
void describe_controller(struct describe *d, const json_t *object); // "Controlled By:", when something does
void describe_events(struct describe *d, const json_t *object);
void event_rows(struct describe *d, const json_t *events, bool with_object);
// Owned texts.
char *describe_time(const char *moment);             // "Sat, 21 Nov 2026 05:35:59 +0000"
char *describe_since(int64_t now, const char *when); // "5m"; "<unknown>"
char *text_of(const json_t *value);                  // scalars as text
