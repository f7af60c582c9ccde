// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import FoundationEssentials
import KubernetesAPI
import KubernetesClient
import SwiftProtobuf

/// The input: a line with the HTTP status and, after a space, the Retry-After header; the body.
///
/// An error names the failed request and the reason, in one bounded line where the response has no Status. A Status has
/// the same meaning in protobuf and in JSON. A 404 or a 503 without a Status does not show that the request was not
/// applied: a proxy may have sent it.
enum StatusErrors {
    private static let info = RequestInfo(verb: .list, resource: PersistentVolume.resource)

    static func run(_ input: inout FuzzInput) throws(InvariantViolation) {
        let head = String(decoding: input.line(), as: UTF8.self).split(separator: " ", maxSplits: 1)
        let httpStatus = head.first.flatMap { Int($0) } ?? 500
        let retryAfter = head.count > 1 ? String(head[1]) : nil
        let body = input.rest()
        let error = error(httpStatus, retryAfter, body)
        try check(error, httpStatus)
        guard let status = error.status else { return try checkExcerpt(error) }
        try check(status, isEquivalentTo: error, httpStatus, retryAfter)
    }

    private static func error(_ httpStatus: Int, _ retryAfter: String?, _ body: [UInt8]) -> KubernetesError {
        KubernetesError(httpStatus: httpStatus, retryAfterHeader: retryAfter, body: body, request: info)
    }

    private static func check(_ error: KubernetesError, _ httpStatus: Int) throws(InvariantViolation) {
        try require(error.httpStatus == httpStatus, "the HTTP status is not the response's")
        try require(
            error.message.utf8.starts(with: "\(info): \(httpStatus): ".utf8),
            "the message does not name the request: \(error)"
        )
        if let retryAfter = error.retryAfter {
            try require(
                (Duration.seconds(1)...KubernetesError.maximumRetryAfter).contains(retryAfter),
                "the pause is not bounded: \(retryAfter)"
            )
        }
        let expected: Set<KubernetesError.Code> =
            switch httpStatus {
            case 401: [.unauthorized]
            case 403: [.forbidden, .namespaceTerminating]
            case 404: [.notFound, .serverError]
            case 409: [.conflict, .alreadyExists]
            case 410: [.expired]
            case 422: [.invalid]
            case 429: [.tooManyRequests]
            case 504: [.timeout]
            case 400..<500: [.badRequest]
            default: [.serverError]
            }
        try require(expected.contains(error.code), "\(httpStatus) is \(error.code)")
        try require(
            error.code != .forbidden || error.message.contains(info.rbacRule),
            "an error for a missing RBAC rule does not name the rule"
        )
        try require(!error.isMissingRule || error.code == .forbidden, "an error other than 403 names an RBAC rule")
        try require(
            error.wasDefinitelyNotApplied
                == (httpStatus == 503 && error.status != nil
                    || (300..<500).contains(httpStatus) && (httpStatus != 404 || error.code == .notFound)),
            "the HTTP status and the Status do not decide whether the request was applied"
        )
    }

    private static func checkExcerpt(_ error: KubernetesError) throws(InvariantViolation) {
        try require(error.message.utf8.count < 1200, "a message of \(error.message.utf8.count) bytes")
        try require(error.message.utf8.allSatisfy { $0 >= 0x20 }, "a message of several lines")
    }

    private static func check(
        _ status: Status,
        isEquivalentTo error: KubernetesError,
        _ httpStatus: Int,
        _ retryAfter: String?
    ) throws(InvariantViolation) {
        var envelope = Unknown()
        envelope.typeMeta.apiVersion = "v1"
        envelope.typeMeta.kind = "Status"
        var bodies: [[UInt8]] = []
        do {
            envelope.raw = try status.serializedBytes()
            bodies.append(try Envelope.prefix + envelope.serializedBytes())
            // Without a code, JSON is not recognised as a Status.
            if status.code != 0 { bodies.append(try status.jsonUTF8Bytes()) }
        } catch {
            throw InvariantViolation(message: "a Status cannot be encoded: \(error)")
        }
        for body in bodies {
            let again = self.error(httpStatus, retryAfter, body)
            try require(again.status == status, "a Status changes when it is encoded again: \(status)")
            try require(
                again.code == error.code && again.message == error.message && again.retryAfter == error.retryAfter,
                "the error changes when the Status is encoded again: \(again), not \(error)"
            )
        }
    }
}
