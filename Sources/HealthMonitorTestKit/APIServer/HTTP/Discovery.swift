// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// The discovery documents: group, version and resource lists, and as much of OpenAPI as kubectl needs to leave
/// validation to the server.
enum Discovery {
    /// nil for a path without a document.
    static func document(path: String) -> JSONValue? {
        switch path.split(separator: "/").joined(separator: "/") {
        case "version":
            [
                "major": "1", "minor": "32", "gitVersion": "v1.32.0", "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "simulated",
            ]
        case "api":
            JSONValue.object(["versions": ["v1"]]).typed("v1", "APIVersions")
        case "apis":
            JSONValue.object(["groups": .array(groups.map(group))]).typed("v1", "APIGroupList")
        case "openapi/v3":
            ["paths": .object(roots)]
        case let path:
            resourceList(root: path) ?? openAPI(path: path)
                ?? groups.first { path == "apis/\($0)" }.map { group($0).typed("v1", "APIGroup") }
        }
    }

    /// An OpenAPI v2 document without definitions, in the protobuf that old versions of kubectl request (Debian 12 has
    /// 1.20): they do not validate kinds that it does not define.
    static let emptyOpenAPIv2: [UInt8] = {
        var document = WireWriter()
        document.bytes("2.0".utf8, field: 1)
        return document.bytes
    }()

    private static let groups = Set(ResourceType.all.map(\.group)).subtracting([""]).sorted()
    private static let roots: [String: JSONValue] = Dictionary(
        ResourceType.all.map { ($0.root, ["serverRelativeURL": .string("/openapi/v3/\($0.root)")]) },
        uniquingKeysWith: { first, _ in first }
    )

    private static func group(_ name: String) -> JSONValue {
        let versions = ResourceType.all.filter { $0.group == name }.map { type -> JSONValue in
            ["groupVersion": .string(type.apiVersion), "version": .string(type.version)]
        }
        return ["name": .string(name), "versions": .array([versions[0]]), "preferredVersion": versions[0]]
    }

    private static func resourceList(root: String) -> JSONValue? {
        let types = ResourceType.all.filter { $0.root == root }
        guard let first = types.first else { return nil }
        let resources = types.flatMap { type -> [JSONValue] in
            let resource: JSONValue = [
                "name": .string(type.plural), "singularName": .string(type.singular), "kind": .string(type.kind),
                "namespaced": .bool(type.isNamespaced),
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                "shortNames": .array(type.shortNames.map { .string($0) }),
            ]
            let subresources = type.subresources.map { name -> JSONValue in
                [
                    "name": .string("\(type.plural)/\(name)"), "singularName": "", "kind": .string(type.kind),
                    "namespaced": .bool(type.isNamespaced), "verbs": ["get", "patch", "update"],
                ]
            }
            return [resource] + subresources
        }
        let list: JSONValue = ["groupVersion": .string(first.apiVersion), "resources": .array(resources)]
        return list.typed("v1", "APIResourceList")
    }

    /// kubectl leaves validation to the server when a kind's patch operation has the parameter fieldValidation.
    private static func openAPI(path: String) -> JSONValue? {
        let types = ResourceType.all.filter { "openapi/v3/\($0.root)" == path }
        guard !types.isEmpty else { return nil }
        let paths = types.map { type -> (String, JSONValue) in
            let kind: JSONValue = [
                "group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind),
            ]
            let patch: JSONValue = [
                "parameters": [["name": "fieldValidation", "in": "query"]], "responses": [:],
                "x-kubernetes-group-version-kind": kind,
            ]
            return ("/\(type.root)/\(type.plural)/{name}", ["patch": patch])
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "v1.32.0"],
            "paths": .object(Dictionary(uniqueKeysWithValues: paths)),
        ]
    }
}

extension ResourceType {
    /// Where the type's paths begin: `api/v1`, `apis/coordination.k8s.io/v1`.
    fileprivate var root: String { group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)" }
}
