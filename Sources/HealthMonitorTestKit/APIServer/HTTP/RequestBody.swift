// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A request's body, decoded by its Content-Type and its resource.
struct RequestBody: Sendable {
    static let strategicMergePatch = "application/strategic-merge-patch+json"
    private static let patchTypes = ["application/merge-patch+json", strategicMergePatch]

    /// As JSON, without kind and apiVersion; nil when there was none.
    let value: JSONValue?
    /// Why it could not be decoded; nil when it could.
    let error: StatusError?

    init(_ bytes: [UInt8], of request: APIRequest) {
        do throws(StatusError) {
            value = bytes.isEmpty ? nil : try Self.read(bytes, of: request)
            error = nil
        } catch {
            value = nil
            self.error = error
        }
    }

    /// - Throws: `StatusError` 400 or 415 when the body is missing or cannot be decoded.
    func required() throws(StatusError) -> JSONValue {
        if let error { throw error }
        guard let value else { throw .badRequest("a body is required") }
        return value
    }

    private static func read(_ bytes: [UInt8], of request: APIRequest) throws(StatusError) -> JSONValue {
        let contentType = request.contentType.split(separator: ";").first.map(String.init) ?? Representation.jsonType
        switch (request.verb, contentType) {
        case (.patch, _):
            guard patchTypes.contains(contentType) else { throw .unsupportedMediaType(patchTypes) }
            let patch = try json(bytes)
            if let directive = patch.directive {
                throw .badRequest(
                    "the simulated server supports the strategic merge patch directive $patch in status.conditions "
                        + "only, not \(directive)"
                )
            }
            return patch
        case (_, Representation.jsonType):
            var value = try json(bytes)
            try check(apiVersion: value["apiVersion"]?.string, kind: value["kind"]?.string, of: request)
            value["apiVersion"] = nil
            value["kind"] = nil
            return value
        case (_, Representation.protobufType):
            do {
                let envelope = try Envelope(parsing: bytes)
                try check(apiVersion: envelope.apiVersion, kind: envelope.kind, of: request)
                let schema = request.verb == .delete ? .deleteOptions : request.type?.schema
                return try schema?.decode(envelope.raw) ?? [:]
            } catch let error as StatusError {
                throw error
            } catch {
                throw .badRequest("\(error)")
            }
        default:
            throw .unsupportedMediaType([Representation.jsonType, Representation.protobufType])
        }
    }

    private static func json(_ bytes: [UInt8]) throws(StatusError) -> JSONValue {
        guard let value = try? JSONValue(parsing: bytes), value.object != nil else {
            throw .badRequest("the body is not a JSON object")
        }
        return value
    }

    private static func check(apiVersion: String?, kind: String?, of request: APIRequest) throws(StatusError) {
        guard request.verb != .delete, let type = request.type, let kind, !kind.isEmpty else { return }
        guard kind == type.kind, (apiVersion ?? type.apiVersion) == type.apiVersion else {
            throw .badRequest(
                "\(kind) in version \"\(apiVersion ?? "")\" cannot be handled as a \(type.kind): "
                    + "no kind \"\(kind)\" is registered for version \"\(type.apiVersion)\""
            )
        }
    }
}

extension JSONValue {
    /// The first directive of a strategic merge patch other than `$patch` in `status.conditions`.
    fileprivate var directive: String? {
        var rest = self
        if rest["status", "conditions"] != nil { rest["status", "conditions"] = nil }
        return rest.anyDirective
    }

    private var anyDirective: String? {
        switch self {
        case .object(let members):
            members.keys.first { $0.hasPrefix("$") } ?? members.values.lazy.compactMap(\.anyDirective).first
        case .array(let elements): elements.lazy.compactMap(\.anyDirective).first
        default: nil
        }
    }
}
