// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport
import KubernetesAPI
import SwiftProtobuf
import Testing

@testable import KubernetesClient

@Suite struct KubernetesErrorTests {
    private let info = RequestInfo(verb: .list, resource: PersistentVolume.resource)

    private func error(_ httpStatus: Int, _ body: String, retryAfter: String? = nil) -> KubernetesError {
        KubernetesError(httpStatus: httpStatus, retryAfterHeader: retryAfter, body: Array(body.utf8), request: info)
    }

    @Test func `a Status in JSON is decoded`() {
        let error = error(
            403,
            """
            {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no way","reason":"Forbidden",
            "details":{"name":"n","kind":"k","causes":[{"reason":"Other","message":"m","field":"f"}],
            "retryAfterSeconds":7},"code":403}
            """
        )
        #expect(error.code == .forbidden)
        #expect(error.status?.reason == "Forbidden")
        #expect(error.status?.details.causes.map(\.reason) == ["Other"])
        #expect(error.retryAfter == .seconds(7))
        #expect(
            error.message == #"list persistentvolumes: 403: no way; the RBAC rule for it is "#
                + #"{apiGroups: [""], resources: ["persistentvolumes"], verbs: ["list"]}"#
        )
    }

    @Test func `a Status in protobuf is decoded`() throws {
        var status = Status()
        status.code = 410
        status.reason = "Expired"
        status.message = "too old resource version"
        var envelope = Unknown()
        envelope.typeMeta.kind = "Status"
        envelope.typeMeta.apiVersion = "v1"
        envelope.raw = try status.serializedBytes()
        let error = KubernetesError(
            httpStatus: 410,
            retryAfterHeader: nil,
            body: try Envelope.prefix + envelope.serializedBytes(),
            request: info
        )
        #expect(error.code == .expired)
        #expect(error.status == status)
        #expect(error.message == "list persistentvolumes: 410: too old resource version")
    }

    @Test(arguments: [
        "<html>\n<b>Bad gateway</b>\u{1B}[31m", "{\"message\": 5}", "{", "k8s\0junk", "",
        String(repeating: "x", count: 10_000),
    ])
    func `any other body becomes a bounded text`(_ body: String) {
        let error = error(502, body)
        #expect(error.code == .serverError)
        #expect(error.status == nil)
        #expect(error.message.hasPrefix("list persistentvolumes: 502: "))
        #expect(error.message.utf8.count < 400)
        #expect(error.message.utf8.allSatisfy { $0 >= 0x20 })
    }

    @Test func `a message of any length becomes a bounded one`() {
        let message = String(repeating: "x", count: 100_000)
        let error = error(
            403,
            #"{"kind":"Status","apiVersion":"v1","message":"\#(message)","reason":"Forbidden","code":403}"#
        )
        #expect(error.status?.reason == "Forbidden")
        #expect(error.message.utf8.count < 5_000)
        #expect(error.message.contains("xxx; the RBAC rule for it is "))
    }

    @Test(arguments: [
        (HTTPError.Code.connect, KubernetesError.Code.transport, true), (.tls, .transport, true),
        (.timeout, .timeout, false), (.transport, .transport, false), (.bodyTooLarge, .decoding, false),
    ])
    func `only a request that was not sent was definitely not applied`(
        _ transport: HTTPError.Code,
        code: KubernetesError.Code,
        wasNotApplied: Bool
    ) {
        let error = KubernetesError(HTTPError(code: transport, message: ""), request: info)
        #expect(error.code == code)
        #expect(error.wasDefinitelyNotApplied == wasNotApplied)
    }

    /// A proxy may have sent the request before it responds in the server's place.
    @Test(arguments: [
        (503, "ServiceUnavailable", true), (503, nil, false), (404, "NotFound", true), (404, nil, false),
        (403, "Forbidden", true), (403, nil, true), (429, nil, true), (500, "InternalError", false), (502, nil, false),
        (504, "Timeout", false),
    ])
    func `a 404 or a 503 shows that the request was not applied only with a Status`(
        _ httpStatus: Int,
        reason: String?,
        wasNotApplied: Bool
    ) {
        let status = reason.map {
            #"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"\#($0)","code":\#(httpStatus)}"#
        }
        let error = error(httpStatus, status ?? "upstream connect error or disconnect/reset before headers")
        #expect((error.status != nil) == (reason != nil))
        #expect(error.wasDefinitelyNotApplied == wasNotApplied)
    }

    @Test(arguments: [
        ("3", Duration.seconds(3)), ("0", nil), ("-1", nil), ("Fri, 31 Dec 1999", nil), (nil, nil),
        ("86400", .seconds(60)),
    ])
    func retryAfter(_ header: String?, expected: Duration?) {
        let error = error(429, "", retryAfter: header)
        #expect(error.code == .tooManyRequests)
        #expect(error.retryAfter == expected)
    }

    @Test(arguments: [
        (400, "", KubernetesError.Code.badRequest), (401, "", .unauthorized), (404, "", .serverError),
        (405, "", .badRequest),
        (404, "NotFound", .notFound),
        (409, "AlreadyExists", .alreadyExists), (409, "Conflict", .conflict), (409, "", .conflict), (422, "", .invalid),
        (500, "", .serverError), (503, "", .serverError), (504, "", .timeout), (302, "", .serverError),
    ])
    func codes(_ httpStatus: Int, reason: String, code: KubernetesError.Code) {
        var status = Status()
        status.reason = reason
        #expect(KubernetesError.Code(httpStatus: httpStatus, status: status) == code)
        if reason.isEmpty { #expect(KubernetesError.Code(httpStatus: httpStatus, status: nil) == code) }
    }

    @Test func `a terminating namespace has its own code`() {
        var status = Status()
        status.reason = "Forbidden"
        status.details.causes = [.with { $0.reason = "NamespaceTerminating" }]
        #expect(KubernetesError.Code(httpStatus: 403, status: status) == .namespaceTerminating)
        #expect(KubernetesError.Code(httpStatus: 403, status: nil) == .forbidden)
    }
}
