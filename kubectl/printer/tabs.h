// SPDX-License-Identifier: Apache-2.0
// Aligns tab-separated cells as Go's text/tabwriter does: a column is a run of adjacent lines that have a tab-ended cell
// at that place, and is as wide as its widest cell.
#pragma once

#include "libcommon/base/buf.h"

// Text from a server as a terminal may have it: an escape character shows as ^[ and does nothing.
void text_for_terminal(const char *text, struct cx_buf *to);
// The same for the cells. `least` is the smallest width of a column, `padding` the blanks after its widest cell (counted in it).
void tabs_align(const char *from, size_t least, size_t padding, struct cx_buf *to);
// Characters of UTF-8 text that take a place on the screen.
size_t text_width(const char *text, size_t length);
