// SPDX-License-Identifier: Apache-2.0
// Completion and documentation in YAML, from the server's OpenAPI. Where the cursor is, is found by indentation.

// {path: keys from the root, key: whether a key stands (or would) here, word, from, to, value}
export function pathAt(text, offset) {
    const before = text.slice(0, offset),
        start = before.lastIndexOf("\n") + 1,
        end = text.indexOf("\n", offset) < 0 ? text.length : text.indexOf("\n", offset);
    const line = text.slice(start, end),
        column = offset - start;
    const head = /^(\s*(?:- )*)/.exec(line)[1];
    const colon = /^(\s*(?:- )*)([\w./-]*):(?:\s|$)/.exec(line);
    const inValue = colon && column > head.length + colon[2].length;
    const indent = Math.min(head.length, line.trim() ? head.length : column);
    const path = [];
    let level = indent;
    // Documents of a stream stand apart.
    const above = text.slice(0, start).split("\n");
    for (let i = above.length - 2; i >= 0 && level > 0; i--) {
        if (/^---/.test(above[i])) break;
        const match = /^(\s*(?:- )*)([\w./-]+):/.exec(above[i]);
        if (!match) continue;
        const depth = match[1].length;
        if (depth < level) {
            path.unshift(match[2]);
            level = depth;
        }
    }
    const word = inValue
        ? line.slice(head.length + colon[2].length + 1, column).trim()
        : line.slice(head.length, column).trim();
    return {
        path,
        key: colon ? colon[2] : line.slice(head.length).trim(),
        isKey: !inValue,
        word,
        from: offset - word.length,
        to: offset,
        line,
    };
}

function follow(document, schema) {
    for (let hops = 0; schema && hops < 10; hops++) {
        if (schema.$ref) schema = document.components.schemas[schema.$ref.split("/").pop()];
        else if (schema.allOf && schema.allOf.length === 1)
            schema = {
                ...follow(document, schema.allOf[0]),
                description: schema.description || (follow(document, schema.allOf[0]) || {}).description,
            };
        else break;
    }
    return schema;
}
function step(document, schema, name) {
    schema = follow(document, schema);
    if (schema && schema.type === "array") schema = follow(document, schema.items);
    if (!schema) return null;
    return (
        (schema.properties && schema.properties[name]) ||
        (typeof schema.additionalProperties === "object" ? schema.additionalProperties : null)
    );
}
function root(document, kind) {
    return Object.values(document.components.schemas).find(schema =>
        (schema["x-kubernetes-group-version-kind"] || []).some(
            one => one.group === kind.group && one.version === kind.version && one.kind === kind.kind,
        ),
    );
}
function typeName(document, schema) {
    const target = follow(document, schema);
    if (!target) return "";
    if (target.type === "array") return `list of ${typeName(document, target.items) || "objects"}`;
    return target["x-kubernetes-int-or-string"]
        ? "number or text"
        : target.type === "object" || target.properties
          ? "object"
          : target.type || "";
}

// {options: [{text, suffix, type, doc}], doc: {name, type, text, values}}
export function complete(document, kind, spot) {
    let schema = root(document, kind);
    for (const name of spot.path) schema = step(document, schema, name);
    let target = follow(document, schema);
    if (target && target.type === "array") target = follow(document, target.items);
    const properties = (target && target.properties) || {};
    const own = spot.key ? properties[spot.key] : null,
        followed = own && follow(document, own);
    const doc = own
        ? {
              name: [...spot.path, spot.key].join("."),
              type: typeName(document, own),
              text: own.description || (followed && followed.description),
              values: followed && followed.enum,
          }
        : null;
    const word = spot.word.toLowerCase();
    if (!spot.isKey) {
        const values = (followed && (followed.enum || (followed.type === "boolean" ? ["true", "false"] : null))) || [];
        return {
            doc,
            options: values
                .filter(value => String(value).toLowerCase().startsWith(word))
                .map(value => ({text: String(value)})),
        };
    }
    const options = Object.entries(properties)
        .filter(([name]) => name.toLowerCase().startsWith(word) && name !== "status")
        .map(([name, property]) => {
            const type = typeName(document, property);
            return {
                text: name,
                type,
                suffix: spot.line.includes(":") ? "" : type === "object" || type.startsWith("list") ? ":" : ": ",
                doc: property.description || (follow(document, property) || {}).description,
            };
        });
    return {doc, options};
}
