// SPDX-License-Identifier: Apache-2.0
// The table of commands. To add one: a run function in cmd/, its prototype in cmd/commands.h, a row here.
#include "kubectl/cmd/commands.h"

#define BEGINNER "Basic Commands (Beginner)"
#define INTERMEDIATE "Basic Commands (Intermediate)"
#define DEPLOY "Deploy Commands"
#define CLUSTER "Cluster Management Commands"
#define TROUBLE "Troubleshooting and Debugging Commands"
#define ADVANCED "Advanced Commands"
#define SETTINGS "Settings Commands"
#define OTHER "Other Commands"

static const struct cx_command apply_commands[] = {
        {"view-last-applied", "", "View the latest last-applied-configuration annotations",
         "(TYPE [NAME] | TYPE/NAME | -f FILE)", cx_cmd_apply_view_last},
        {0},
};

const struct cx_command cx_commands[] = {
        {"create", BEGINNER, "Create a resource from a file or from stdin", "-f FILENAME", cx_cmd_create,
         cx_create_commands},
        {"get", INTERMEDIATE, "Display one or many resources",
         "(TYPE[.VERSION][.GROUP] [NAME | -l label] | TYPE[.VERSION][.GROUP]/NAME ...) [flags]", cx_cmd_get, NULL,
         "  kubectl get pods -o wide\n  kubectl get deployment web -o yaml\n"},
        {"delete", INTERMEDIATE,
         "Delete resources by file names, stdin, resources and names, or by resources and label selector",
         "([-f FILENAME] | TYPE [(NAME | -l label | --all)])", cx_cmd_delete},
        {"apply", ADVANCED, "Apply a configuration to a resource by file name or stdin", "(-f FILENAME)", cx_cmd_apply,
         apply_commands},
        {"replace", ADVANCED, "Replace a resource by file name or stdin", "-f FILENAME", cx_cmd_replace},
        {"wait", ADVANCED, "Wait for a specific condition on one or many resources",
         "([-f FILENAME] | TYPE/NAME | TYPE [(-l label | --all)]) --for=CONDITION", cx_cmd_wait},
        {0},
};
