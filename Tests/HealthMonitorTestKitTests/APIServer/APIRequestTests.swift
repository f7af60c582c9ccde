// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

@testable import HealthMonitorTestKit

@Suite struct APIRequestTests {
    /// Verb, group, resource, subresource, namespace and name.
    static let cases: [(method: String, path: String, query: [String: String], parts: [String])] = [
        ("GET", "/api/v1/persistentvolumes", [:], ["list", "", "persistentvolumes", "", "", ""]),
        ("GET", "/api/v1/persistentvolumes", ["watch": "1"], ["watch", "", "persistentvolumes", "", "", ""]),
        ("GET", "/api/v1/persistentvolumes/a%20b", [:], ["get", "", "persistentvolumes", "", "", "a b"]),
        ("PATCH", "/api/v1/persistentvolumes/x/status", [:], ["patch", "", "persistentvolumes", "status", "", "x"]),
        ("POST", "/api/v1/namespaces/n/events", [:], ["create", "", "events", "", "n", ""]),
        (
            "PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", [:],
            ["update", "coordination.k8s.io", "leases", "", "n", "l"]
        ),
        ("DELETE", "/api/v1/namespaces/n", [:], ["delete", "", "namespaces", "", "", "n"]),
        ("PUT", "/api/v1/namespaces/n/status", [:], ["update", "", "namespaces", "status", "", "n"]),
        ("GET", "/api/v1", [:], ["", "", "", "", "", ""]),
        ("GET", "/version", [:], ["", "", "", "", "", ""]),
    ]

    @Test(arguments: cases)
    func `method and path determine verb and object`(
        method: String,
        path: String,
        query: [String: String],
        parts: [String]
    ) {
        var request = APIRequest(
            method: method,
            path: path,
            query: query,
            userAgent: "",
            accept: "",
            contentType: "",
            isHTTP2: false
        )
        request.resolve()
        #expect(
            [
                request.verb?.rawValue ?? "", request.group, request.resource, request.subresource,
                request.namespace, request.name,
            ] == parts
        )
    }

    @Test(
        arguments: [
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                "table"
            ),
            ("application/vnd.kubernetes.protobuf, application/json", "protobuf"),
            ("application/vnd.kubernetes.protobuf;stream=watch", "protobuf"), ("", "json"), ("*/*", "json"),
            ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", nil), ("text/html", nil),
        ] as [(String, String?)]
    )
    func `the first supported media type is chosen`(accept: String, expected: String?) {
        let name: String? =
            switch Representation(accept: accept, includeObject: nil) {
            case .json: "json"
            case .protobuf: "protobuf"
            case .table: "table"
            case nil: nil
            }
        #expect(name == expected)
    }
}
