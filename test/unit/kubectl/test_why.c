// SPDX-License-Identifier: Apache-2.0
// The page of `kubectl why`.
#include "kubectl/cmd/why.h"
#include "libcommon/format/json.h"
#include "test/unit/quoted_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define POD(status) "{'metadata':{'name':'p','namespace':'n'},'spec':{'nodeName':'a'},'status':{" status "}}"

static void pages(void **state)
{
        (void)state;
        static const struct {
                const char *pod, *events;
                bool wrong;
                const char *has[3]; // of the page
        } cases[] = {
                {POD("'phase':'Running','conditions':[{'type':'Ready','status':'True'}]"),
                 "[]",
                 false,
                 {"is Running and ready", "Nothing is wrong"}},
                {POD("'phase':'Succeeded'"), "[]", false, {"ended well"}},
                {POD("'phase':'Running','conditions':[{'type':'PodResizePending','status':'True','reason':'Deferred',"
                     "'message':'too little'}]"),
                 "[]",
                 true,
                 {"resources that they ask for now (Deferred): too little", "kubectl describe node a"}},
                {"{'metadata':{'name':'p','namespace':'n'},'spec':{},'status':{'phase':'Pending','conditions':["
                 "{'type':'PodScheduled','status':'False','reason':'Unschedulable','message':'0/1 nodes fit'}]}}",
                 "[]",
                 true,
                 {"No node can take it (Unschedulable)", "0/1 nodes fit", "kubectl describe nodes"}},
                {"{'metadata':{'name':'p','namespace':'n'},'spec':{'schedulerName':'mine'},'status':{'phase':'Pending'}"
                 "}",
                 "[]",
                 true,
                 {"asks for \"mine\""}},
                {"{'metadata':{'name':'p','namespace':'n'},'spec':{'schedulingGates':[{'name':'g'}]},'status':{"
                 "'phase':'Pending'}}",
                 "[]",
                 true,
                 {"scheduling gates"}},
                {POD("'phase':'Pending','containerStatuses':[{'name':'c','state':{'waiting':{'reason':'"
                     "ImagePullBackOff',"
                     "'message':'Back-off pulling'}}}]"),
                 "[{'type':'Warning','reason':'Failed','message':'no such image'},{'type':'Normal','reason':'Other'}]",
                 true,
                 {"its image cannot be pulled", "Failed: no such image", "kubectl events -n n --for pod/p"}},
                {POD("'phase':'Running','containerStatuses':[{'name':'c','restartCount':3,'state':{'waiting':{'reason':"
                     "'CrashLoopBackOff'}},'lastState':{'terminated':{'exitCode':2,'reason':'Error'}}}]"),
                 "[]",
                 true,
                 {"exit code 2 (Error)", "started again 3 times", "kubectl logs -n n p -c c --previous"}},
                {POD("'phase':'Running','containerStatuses':[{'name':'c','state':{'waiting':{'reason':"
                     "'CrashLoopBackOff'}},'lastState':{'terminated':{'exitCode':137,'reason':'OOMKilled'}}}]"),
                 "[]",
                 true,
                 {"more memory than its limit"}},
                {POD("'phase':'Running','containerStatuses':[{'name':'c','ready':false,'started':true,'state':{'"
                     "running':"
                     "{}}}]"),
                 "[]",
                 true,
                 {"not ready", "readiness probe"}},
                {POD("'phase':'Running','containerStatuses':[{'name':'c','ready':false,'started':false,'state':{'"
                     "running':"
                     "{}}}]"),
                 "[]",
                 true,
                 {"startup probe"}},
                {POD("'phase':'Pending','initContainerStatuses':[{'name':'i','ready':false,'state':{'running':{}}}]"),
                 "[]",
                 true,
                 {"Init container \"i\" has not ended", "kubectl logs -n n p -c i"}},
                {POD("'phase':'Failed','reason':'Evicted','message':'The node was low on memory'"),
                 "[]",
                 true,
                 {"Evicted: The node was low on memory"}},
                {"{'metadata':{'name':'p','namespace':'n','deletionTimestamp':'2026-01-01T00:00:00Z','finalizers':"
                 "['x/y']},'spec':{'nodeName':'a'},'status':{'phase':'Running'}}",
                 "[]",
                 true,
                 {"is being deleted", "the finalizer x/y"}},
                {"{'metadata':{'name':'p','namespace':'n'},'spec':{'nodeName':'a','readinessGates':[{'conditionType':"
                 "'g/x'}]},'status':{'phase':'Running'}}",
                 "[]",
                 true,
                 {"readiness gate g/x is not met"}},
        };
        for (size_t i = 0; i < CX_ARRAY_SIZE(cases); i++) {
                json_auto_t *pod = quoted_json(cases[i].pod), *events = quoted_json(cases[i].events);
                CX_BUF page = CX_BUF_INIT;
                bool wrong = why_page(pod, events, &page);
                if (wrong != cases[i].wrong)
                        fail_msg("case %zu: %s", i, page.data);
                for (size_t j = 0; j < CX_ARRAY_SIZE(cases[i].has) && cases[i].has[j]; j++)
                        if (!strstr(page.data, cases[i].has[j]))
                                fail_msg("case %zu lacks \"%s\":\n%s", i, cases[i].has[j], page.data);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(pages)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
