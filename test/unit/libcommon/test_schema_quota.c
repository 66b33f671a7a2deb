// SPDX-License-Identifier: Apache-2.0
// What a ResourceQuota and a LimitRange may say.
#include "test/unit/libcommon/schema_test.h"

#define QUOTA(spec) "{'metadata':{'name':'q'},'spec':{" spec "}}"
#define BAD_QUOTA "ResourceQuota \"q\" is invalid: "
#define RANGE(items) "{'metadata':{'name':'l'},'spec':{'limits':[" items "]}}"
#define BAD_RANGE "LimitRange \"l\" is invalid: "

static const struct validate_case quotas[] = {
        {"", "ResourceQuota",
         QUOTA("'hard':{'cpu':'1','requests.example.com/gpu':'1','count/jobs.batch':'3','hugepages-2Mi':'2Mi',"
               "'gold.storageclass.storage.k8s.io/requests.storage':'1Gi','requests.ephemeral-storage':'1'}"),
         NULL},
        {"", "ResourceQuota", QUOTA("'hard':{'gpu':'1'}"),
         BAD_QUOTA "spec.hard[gpu]: Invalid value: \"gpu\": must be a standard resource for quota"},
        {"", "ResourceQuota", QUOTA("'hard':{'pods':'1500m'}"),
         BAD_QUOTA "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"},
        {"", "ResourceQuota", QUOTA("'hard':{'count/pods':'-1'}"),
         BAD_QUOTA "spec.hard[count/pods]: Invalid value: \"-1\": must be greater than or equal to 0"},
        {"", "ResourceQuota", QUOTA("'hard':{'pods':'1'},'scopes':['Terminating','NotBestEffort']"), NULL},
        {"", "ResourceQuota", QUOTA("'hard':{'pods':'1'},'scopes':['Terminating','NotTerminating']"),
         BAD_QUOTA "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\"]: conflicting scopes"},
        {"", "ResourceQuota", QUOTA("'hard':{'pods':'1'},'scopes':['Mine']"),
         BAD_QUOTA "spec.scopes: Invalid value: [\"Mine\"]: unsupported scope"},
        {"", "ResourceQuota", QUOTA("'hard':{'services':'1'},'scopes':['Terminating']"),
         BAD_QUOTA "spec.scopes: Invalid value: [\"Terminating\"]: unsupported scope applied to resource"},
        {"", "ResourceQuota", QUOTA("'hard':{'cpu':'1'},'scopes':['BestEffort']"),
         BAD_QUOTA "spec.scopes: Invalid value: [\"BestEffort\"]: unsupported scope applied to resource"},
#define SELECTS(rest) QUOTA("'hard':{'pods':'1'},'scopeSelector':{'matchExpressions':[{" rest "}]}")
        {"", "ResourceQuota", SELECTS("'scopeName':'PriorityClass','operator':'In','values':['a']"), NULL},
        {"", "ResourceQuota", SELECTS("'scopeName':'PriorityClass','operator':'In'"),
         BAD_QUOTA "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when "
                   "`operator` is 'In' or 'NotIn' for scope selector"},
        {"", "ResourceQuota", SELECTS("'scopeName':'PriorityClass','operator':'Exists','values':['a']"),
         BAD_QUOTA "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when "
                   "`operator` is 'Exist' or 'DoesNotExist' for scope selector"},
        {"", "ResourceQuota", SELECTS("'scopeName':'BestEffort','operator':'DoesNotExist'"),
         BAD_QUOTA
         "spec.scopeSelector.matchExpressions.operator: Invalid value: \"DoesNotExist\": must be 'Exist' when "
         "scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
         "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or "
         "ResourceQuotaScopeCrossNamespacePodAffinity"},
        {"", "ResourceQuota", SELECTS("'scopeName':'Other','operator':'Exists'"),
         BAD_QUOTA "spec.scopeSelector.matchExpressions.scopeName: Invalid value: \"Other\": unsupported scope"},
        {"", "ResourceQuota",
         QUOTA("'hard':{'persistentvolumeclaims':'1'},'scopeSelector':{'matchExpressions':[{'scopeName':"
               "'VolumeAttributesClass','operator':'Exists'}]}"),
         NULL},
};

static const struct validate_case ranges[] = {
        {"", "LimitRange",
         RANGE("{'type':'Container','min':{'cpu':'1'},'max':{'cpu':'3'},'default':{'cpu':'2'},'defaultRequest':{'cpu':"
               "'1'},'maxLimitRequestRatio':{'cpu':'2'}}"),
         NULL},
        {"", "LimitRange", RANGE("{'type':'Pod','max':{'example.com/gpu':'1'}},{'type':'example.com/own'}"), NULL},
        {"", "LimitRange", RANGE("{'type':'Pod'},{'type':'Pod'}"),
         BAD_RANGE "spec.limits[1].type: Duplicate value: \"Pod\""},
        {"", "LimitRange", RANGE("{'type':'Node'}"),
         BAD_RANGE "spec.limits[0].type: Invalid value: \"Node\": must be a standard limit type or fully qualified"},
        {"", "LimitRange", RANGE("{'type':'Pod','default':{'cpu':'1'}}"),
         BAD_RANGE "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"},
        {"", "LimitRange", RANGE("{'type':'Container','maxLimitRequestRatio':{'storage':'1'}}"),
         BAD_RANGE
         "spec.limits[0].maxLimitRequestRatio[storage]: Invalid value: \"storage\": must be a standard resource for "
         "containers"},
        {"", "LimitRange", RANGE("{'type':'PersistentVolumeClaim','max':{'storage':'1'}}"), NULL},
        {"", "LimitRange", RANGE("{'type':'PersistentVolumeClaim'}"),
         BAD_RANGE "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but "
                   "neither was provided"},
        {"", "LimitRange", RANGE("{'type':'Pod','min':{'cpu':'2'},'max':{'cpu':'1'}}"),
         BAD_RANGE "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"},
        {"", "LimitRange",
         RANGE("{'type':'Container','min':{'cpu':'2'},'default':{'cpu':'1'},'defaultRequest':{'cpu':'3'}}"),
         BAD_RANGE "[spec.limits[0].defaultRequest[cpu]: Invalid value: \"3\": default request value 3 is greater than "
                   "default limit value 1, spec.limits[0].default[cpu]: Invalid value: \"1\": min value 2 is greater "
                   "than default value 1]"},
        {"", "LimitRange", RANGE("{'type':'Pod','maxLimitRequestRatio':{'cpu':'500m'}}"),
         BAD_RANGE "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1"},
        {"", "LimitRange",
         RANGE("{'type':'Pod','min':{'cpu':'1'},'max':{'cpu':'2'},'maxLimitRequestRatio':{'cpu':'3'}}"),
         BAD_RANGE "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = "
                   "2.000000"},
        {"", "LimitRange",
         RANGE("{'type':'Container','default':{'example.com/gpu':'2'},'defaultRequest':{'example.com/gpu':'1'}}"),
         BAD_RANGE
         "spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: \"1\": default value 2 must equal to "
         "defaultRequest value 1 in example.com/gpu"},
};

static void test_quotas(void **state)
{
        (void)state;
        check_messages(quotas, CX_ARRAY_SIZE(quotas));
}

static void test_ranges(void **state)
{
        (void)state;
        check_messages(ranges, CX_ARRAY_SIZE(ranges));
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_quotas), cmocka_unit_test(test_ranges)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
