// SPDX-License-Identifier: Apache-2.0
// Plugins: executables kubectl-NAME in PATH, which run as `kubectl NAME`.
#pragma once

// Becomes the plugin for these words when there is one; returns when there is none. The longest name wins: for
// `kubectl foo bar x` it is kubectl-foo-bar before kubectl-foo. A dash in a word is an underscore in the name.
void plugin_exec(int argc, char **argv);
