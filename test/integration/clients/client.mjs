// SPDX-License-Identifier: Apache-2.0
// What a program with the Node.js client does: typed and dynamic objects, lists, watches, an informer, patches, errors.
// Prints TAP.
import { EventEmitter, once } from 'node:events';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const access = config.makeApiClient(k8s.AuthorizationV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const namespace = 'default';
let count = 0;
let failed = 0;

async function test(name, body) {
        let timer;
        const late = new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error('not within its time')), 30000);
        });
        count++;
        try {
                await Promise.race([body(), late]);
                console.log(`ok ${count} - ${name}`);
        } catch (error) {
                failed++;
                console.log(`not ok ${count} - ${name}`);
                console.log(`# ${String(error.stack ?? error).replaceAll('\n', '\n# ')}`);
        }
        clearTimeout(timer);
}

function equal(have, want) {
        const [a, b] = [JSON.stringify(have), JSON.stringify(want)];
        if (a !== b)
                throw new Error(`have ${a}, want ${b}`);
}

// The Status of a request that has to fail.
async function failure(promise) {
        let answer;
        try {
                answer = await promise;
        } catch (error) {
                if (!(error instanceof k8s.ApiException))
                        throw error;
                const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
                equal([status.kind, status.status, status.code], ['Status', 'Failure', error.code]);
                return status;
        }
        throw new Error(`should have failed: ${JSON.stringify(answer)}`);
}

const configMap = (name, data, labels) => ({
        apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data,
});
const names = (list) => list.items.map((item) => item.metadata.name);
const as = (type) => k8s.setHeaderOptions('Content-Type', type);

await test('version', async () => {
        const version = await config.makeApiClient(k8s.VersionApi).getCode();
        equal([version.major, version.minor], ['1', '35']);
});

await test('typed: create, read, replace, delete', async () => {
        const made = await core.createNamespacedConfigMap({ namespace, body: configMap('typed', { k: 'v' }) });
        equal(made.metadata.creationTimestamp instanceof Date, true);
        const read = await core.readNamespacedConfigMap({ name: 'typed', namespace });
        equal([read.data, read.metadata.uid], [{ k: 'v' }, made.metadata.uid]);
        read.data.k = 'w';
        const replaced = await core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: read });
        equal(replaced.data, { k: 'w' });
        equal((await core.deleteNamespacedConfigMap({ name: 'typed', namespace })).status, 'Success');
});

await test('dynamic: create, read, patch, replace, list, delete', async () => {
        const spec = configMap('dynamic', { k: 'v' }, { kind: 'dynamic' });
        await objects.create(spec);
        equal((await objects.read(spec)).data, { k: 'v' });
        const patched = await objects.patch({ ...spec, data: { k: 'w', l: 'x' } }, undefined, undefined, undefined, undefined,
                k8s.PatchStrategy.StrategicMergePatch);
        equal(patched.data, { k: 'w', l: 'x' });
        patched.data = { m: 'y' };
        equal((await objects.replace(patched)).data, { m: 'y' });
        const list = await objects.list('v1', 'ConfigMap', namespace, undefined, undefined, undefined, undefined, 'kind=dynamic');
        equal(names(list), ['dynamic']);
        equal((await objects.delete(spec)).status, 'Success');
});

await test('dynamic: resources of other groups are found by discovery', async () => {
        const spec = {
                apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: { name: 'dynamic', namespace },
                rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
        };
        equal((await objects.create(spec)).rules, spec.rules);
        await objects.delete(spec);
        equal((await failure(objects.read(spec))).reason, 'NotFound');
});

await test('typed values: times, quantities, int-or-strings', async () => {
        const body = {
                metadata: { name: 'web' },
                spec: {
                        replicas: 2, selector: { matchLabels: { app: 'web' } },
                        strategy: { rollingUpdate: { maxSurge: '30%', maxUnavailable: 1 } },
                        template: {
                                metadata: { labels: { app: 'web' } },
                                spec: { containers: [{ name: 'c', image: 'hello', resources: { requests: { cpu: '0.5' } } }] },
                        },
                },
        };
        const made = await apps.createNamespacedDeployment({ namespace, body });
        equal(made.spec.strategy.rollingUpdate, { maxSurge: '30%', maxUnavailable: 1 });
        equal(made.spec.template.spec.containers[0].resources.requests, { cpu: '500m' });
        const scale = await apps.readNamespacedDeploymentScale({ name: 'web', namespace });
        scale.spec.replicas = 5;
        await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace, body: scale });
        equal((await apps.readNamespacedDeployment({ name: 'web', namespace })).spec.replicas, 5);
});

await test('lists: label and field selectors, pages', async () => {
        for (let i = 0; i < 7; i++)
                await core.createNamespacedConfigMap({ namespace, body: configMap(`page-${i}`, {}, { set: 'pages', even: `${i % 2 === 0}` }) });
        equal(names(await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=pages,even=true' })),
                ['page-0', 'page-2', 'page-4', 'page-6']);
        equal(names(await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=page-3' })), ['page-3']);
        const seen = [];
        let token;
        do {
                const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=pages', limit: 3, _continue: token });
                equal(page.items.length <= 3, true);
                seen.push(...names(page));
                token = page.metadata._continue;
        } while (token);
        equal(seen, [0, 1, 2, 3, 4, 5, 6].map((i) => `page-${i}`));
        await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'set=pages' });
        equal(names(await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=pages' })), []);
});

await test('patches: JSON, merge, strategic merge, server-side apply', async () => {
        await core.createNamespacedConfigMap({ namespace, body: configMap('patched', { a: '1' }) });
        const patch = (type, body, more) => core.patchNamespacedConfigMap({ name: 'patched', namespace, body, ...more }, as(type));
        equal((await patch(k8s.PatchStrategy.JsonPatch, [{ op: 'add', path: '/data/b', value: '2' }])).data, { a: '1', b: '2' });
        equal((await patch(k8s.PatchStrategy.MergePatch, { data: { a: null } })).data, { b: '2' });
        const strategic = { spec: { template: { spec: { containers: [{ name: 'c', image: 'hello:2' }] } } } };
        const web = await apps.patchNamespacedDeployment({ name: 'web', namespace, body: strategic },
                as(k8s.PatchStrategy.StrategicMergePatch));
        equal(web.spec.template.spec.containers.map((c) => [c.image, c.resources.requests.cpu]), [['hello:2', '500m']]);
        const applied = await patch(k8s.PatchStrategy.ServerSideApply, configMap('patched', { c: '3' }), { fieldManager: 'node' });
        equal([applied.data, applied.metadata.managedFields.some((f) => f.manager === 'node' && f.operation === 'Apply')],
                [{ b: '2', c: '3' }, true]);
        const conflict = await failure(patch(k8s.PatchStrategy.ServerSideApply, configMap('patched', { c: '4' }), { fieldManager: 'other' }));
        equal([conflict.code, conflict.details.causes[0].reason], [409, 'FieldManagerConflict']);
        const forced = await patch(k8s.PatchStrategy.ServerSideApply, configMap('patched', { c: '4' }), { fieldManager: 'other', force: true });
        equal(forced.data.c, '4');
});

await test('errors: 404, 409, 422, 400', async () => {
        const missing = await failure(core.readNamespacedSecret({ name: 'none', namespace }));
        equal([missing.code, missing.reason, missing.message, missing.details], [404, 'NotFound', 'secrets "none" not found', { name: 'none', kind: 'secrets' }]);
        equal((await failure(core.createNamespacedConfigMap({ namespace, body: configMap('patched') }))).reason, 'AlreadyExists');
        const stale = await core.readNamespacedConfigMap({ name: 'patched', namespace });
        await core.replaceNamespacedConfigMap({ name: 'patched', namespace, body: { ...stale, data: { x: '1' } } });
        equal((await failure(core.replaceNamespacedConfigMap({ name: 'patched', namespace, body: stale }))).reason, 'Conflict');
        const invalid = await failure(core.createNamespacedConfigMap({ namespace, body: configMap('Not_A_Name') }));
        equal([invalid.code, invalid.reason, invalid.details.causes[0].field], [422, 'Invalid', 'metadata.name']);
        equal((await failure(core.listNamespacedConfigMap({ namespace, labelSelector: 'a==='}))).code, 400);
});

await test('may I?', async () => {
        const body = { spec: { resourceAttributes: { verb: 'delete', resource: 'nodes' } } };
        equal((await access.createSelfSubjectAccessReview({ body })).status.allowed, true);
});

await test('a watch tells what happens', async () => {
        const seen = [];
        const { metadata } = await core.listNamespacedConfigMap({ namespace });
        let finished;
        const done = new Promise((resolve, reject) => { finished = (error) => (error ? reject(error) : resolve()); });
        const path = `/api/v1/namespaces/${namespace}/configmaps`;
        const all = new Promise((resolve) => {
                new k8s.Watch(config).watch(path, { resourceVersion: metadata.resourceVersion, labelSelector: 'w=1', timeoutSeconds: 6 },
                        (type, object) => seen.push(`${type} ${object.metadata.name}`) === 3 && resolve(), finished);
        });
        await core.createNamespacedConfigMap({ namespace, body: configMap('watched', {}, { w: '1' }) });
        await core.patchNamespacedConfigMap({ name: 'watched', namespace, body: { data: { k: 'v' } } }, as(k8s.PatchStrategy.MergePatch));
        await core.deleteNamespacedConfigMap({ name: 'watched', namespace });
        await all;
        equal(seen, ['ADDED watched', 'MODIFIED watched', 'DELETED watched']);
        await done; // the server ends it
});

await test('an informer follows, also after the server has ended its watch', async () => {
        const path = `/api/v1/namespaces/${namespace}/configmaps`;
        const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'i=1' });
        await core.createNamespacedConfigMap({ namespace, body: configMap('before', {}, { i: '1' }) });
        // Its own watch, so that the server ends it soon and not after half an hour.
        const watch = new k8s.Watch(config);
        const short = { watch: (to, query, each, end) => watch.watch(to, { ...query, timeoutSeconds: 1 }, each, end) };
        const informer = new k8s.ListWatch(path, short, list, false, 'i=1');
        const seen = [];
        const events = new EventEmitter();
        for (const verb of ['add', 'update', 'delete'])
                informer.on(verb, (object) => {
                        seen.push(`${verb} ${object.metadata.name}`);
                        events.emit(seen.at(-1));
                });
        let connections = 0;
        informer.on('connect', () => events.emit(`connect ${++connections}`));
        let stopped = false;
        const broken = new Promise((_, reject) => informer.on('error', (error) => stopped || reject(error)));
        const expect = (what, action) => Promise.race([broken, Promise.all([once(events, what), action()])]);
        await expect('add before', () => informer.start());
        await expect('add during', () => core.createNamespacedConfigMap({ namespace, body: configMap('during', {}, { i: '1' }) }));
        if (connections < 2)
                await once(events, 'connect 2');
        await expect('update during', () => core.patchNamespacedConfigMap(
                { name: 'during', namespace, body: { data: { k: 'v' } } }, as(k8s.PatchStrategy.MergePatch)));
        if (connections < 3)
                await once(events, 'connect 3');
        await expect('delete before', () => core.deleteNamespacedConfigMap({ name: 'before', namespace }));
        equal([names({ items: informer.list(namespace) }), informer.get('during', namespace).data], [['during'], { k: 'v' }]);
        stopped = true;
        await informer.stop();
        equal(seen, ['add before', 'add during', 'update during', 'delete before']);
});

await test('makeInformer lists and watches by itself', async () => {
        const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`,
                () => core.listNamespacedConfigMap({ namespace, labelSelector: 'm=1' }), 'm=1');
        const added = new Promise((resolve, reject) => {
                informer.on('add', resolve);
                informer.on('error', reject);
        });
        await informer.start();
        await core.createNamespacedConfigMap({ namespace, body: configMap('made', { k: 'v' }, { m: '1' }) });
        equal((await added).data, { k: 'v' });
        await informer.stop();
});

console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
