// SPDX-License-Identifier: Apache-2.0
// YAML ⇄ JSON with libyaml, as sigs.k8s.io/yaml reads and writes it: plain scalars by the rules of YAML 1.1, where yes, no,
// on, off, y and n are booleans too. Size, depth and alias expansion are capped. Any thread may call; results are new
// references.
#pragma once

#include "libcommon/base/buf.h"
#include "libcommon/base/error.h"

#include <jansson.h>

struct cx_strings;

// Parses a stream of documents into an array of values (empty documents are left out). A document that is JSON is
// YAML too. The error carries line and column.
int cx_yaml_parse(const char *text, size_t length, json_t **ret_documents, struct cx_error *err) CX_CHECK;
// The same, but of a key that is there twice the last value is taken, as kubectl reads files.
int cx_yaml_parse_lax(const char *text, size_t length, json_t **ret_documents, struct cx_error *err) CX_CHECK;
// The same by the rules of YAML 1.2, where only true and false are booleans, as kustomize reads files.
int cx_yaml_parse_new(const char *text, size_t length, json_t **ret_documents, struct cx_error *err) CX_CHECK;
// The same; what is there twice is named in ret_duplicates: `line 3: key "a" already set in map`, `most` at most.
int cx_yaml_parse_noting(const char *text, size_t length, size_t most, json_t **ret_documents,
                         struct cx_strings *ret_duplicates, struct cx_error *err) CX_CHECK;
// Block style, keys sorted, as kubectl -o yaml prints.
int cx_yaml_dump(const json_t *json, struct cx_buf *to, struct cx_error *err) CX_CHECK;
