// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// An error response: HTTP status and `metav1.Status`, in the words of the real server
/// (k8s.io/apimachinery/pkg/api/errors).
package struct StatusError: Error, Sendable, Hashable {
    /// The HTTP status, which the body repeats.
    package var code: Int
    /// Machine-readable: `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, ...
    package var reason: String
    package var message: String
    /// Name, group, kind, causes, retryAfterSeconds.
    package var details: JSONValue?

    package init(code: Int, reason: String, message: String, details: JSONValue? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    /// The `metav1.Status`, without kind and apiVersion.
    var value: JSONValue {
        var value: JSONValue = [
            "metadata": [:], "status": "Failure", "message": .string(message), "code": .integer(Int64(code)),
        ]
        if !reason.isEmpty { value["reason"] = .string(reason) }
        value["details"] = details
        return value
    }
}

extension StatusError {
    static func badRequest(_ message: String) -> StatusError {
        StatusError(code: 400, reason: "BadRequest", message: message)
    }

    static let unauthorized = StatusError(code: 401, reason: "Unauthorized", message: "Unauthorized")

    static func notFound(_ type: ResourceType, _ name: String) -> StatusError {
        StatusError(
            code: 404,
            reason: "NotFound",
            message: "\(type.qualifiedPlural) \"\(name)\" not found",
            details: details(type, name)
        )
    }

    /// For a path that the server does not serve.
    static let unknownPath = StatusError(
        code: 404,
        reason: "NotFound",
        message: "the server could not find the requested resource",
        details: [:]
    )

    static let methodNotAllowed = StatusError(
        code: 405,
        reason: "MethodNotAllowed",
        message: "the server does not allow this method on the requested resource",
        details: [:]
    )

    static func notAcceptable(_ accepted: [String]) -> StatusError {
        StatusError(
            code: 406,
            reason: "NotAcceptable",
            message: "only the following media types are accepted: \(accepted.joined(separator: ", "))"
        )
    }

    static func alreadyExists(_ type: ResourceType, _ name: String) -> StatusError {
        StatusError(
            code: 409,
            reason: "AlreadyExists",
            message: "\(type.qualifiedPlural) \"\(name)\" already exists",
            details: details(type, name)
        )
    }

    static func conflict(_ type: ResourceType, _ name: String, _ problem: String) -> StatusError {
        StatusError(
            code: 409,
            reason: "Conflict",
            message: "Operation cannot be fulfilled on \(type.qualifiedPlural) \"\(name)\": \(problem)",
            details: details(type, name)
        )
    }

    /// The conflict of optimistic locking.
    static func stale(_ type: ResourceType, _ name: String) -> StatusError {
        conflict(
            type,
            name,
            "the object has been modified; please apply your changes to the latest version and try again"
        )
    }

    /// 410 for a watch whose first change is compacted away.
    static func tooOld(requested: Int64, oldest: Int64) -> StatusError {
        StatusError(
            code: 410,
            reason: "Expired",
            message: "too old resource version: \(requested) (\(oldest))"
        )
    }

    /// 410 for a list whose snapshot is gone.
    static let continueTokenExpired = StatusError(
        code: 410,
        reason: "Expired",
        message: "The provided continue parameter is too old to display a consistent list result. "
            + "You must start a new list without the continue parameter."
    )

    static let tooManyRequests = StatusError(
        code: 429,
        reason: "TooManyRequests",
        message: "Too many requests, please try again later."
    )

    static func unsupportedMediaType(_ accepted: [String]) -> StatusError {
        StatusError(
            code: 415,
            reason: "UnsupportedMediaType",
            message: "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", ")
        )
    }

    /// - Parameter kind: without its group, which messages append: `Lease.coordination.k8s.io`.
    static func invalid(kind: String, group: String, name: String, _ errors: [FieldError]) -> StatusError {
        let texts = errors.map { "\($0.field): \($0.message)" }
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        var details: JSONValue = [
            "kind": .string(kind),
            "causes": .array(
                errors.map {
                    [
                        "reason": .string($0.kind.rawValue), "message": .string($0.message),
                        "field": .string($0.field),
                    ]
                }
            ),
        ]
        if !group.isEmpty { details["group"] = .string(group) }
        if !name.isEmpty { details["name"] = .string(name) }
        let qualifiedKind = group.isEmpty ? kind : "\(kind).\(group)"
        return StatusError(
            code: 422,
            reason: "Invalid",
            message: "\(qualifiedKind) \"\(name)\" is invalid: \(list)",
            details: details
        )
    }

    static func invalid(_ type: ResourceType, _ name: String, _ errors: [FieldError]) -> StatusError {
        invalid(kind: type.kind, group: type.group, name: name, errors)
    }

    /// An object as `details`: its name, and its resource under `kind`.
    static func details(_ type: ResourceType, _ name: String) -> JSONValue {
        var details: JSONValue = ["kind": .string(type.plural)]
        if !name.isEmpty { details["name"] = .string(name) }
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        return details
    }
}
