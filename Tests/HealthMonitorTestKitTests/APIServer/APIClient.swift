// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport

@testable import HealthMonitorTestKit

/// Runs a server and a client.
func withClient(
    _ configuration: SimulatedAPIServer.Configuration = .init(),
    _ body: (SimulatedAPIServer, APIClient) async throws -> Void
) async throws {
    try await SimulatedAPIServer.withServer(configuration: configuration) { server in
        let client = try APIClient(server)
        do {
            try await body(server, client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }
}

/// An HTTP client for a simulated API server, with its CA, but without types of Kubernetes.
struct APIClient: Sendable {
    struct Response: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]

        var json: JSONValue {
            get throws { try JSONValue(parsing: body) }
        }
    }

    private let http: HTTPClient
    private let url: String

    init(_ server: SimulatedAPIServer) throws {
        let authority = Array(server.certificateAuthority.certificatePEM.utf8)
        http = try HTTPClient(
            configuration: .init(
                tls: .init(certificateAuthorities: authority),
                userAgent: "test",
                connectTimeout: .seconds(3600)
            )
        )
        url = server.url
    }

    func shutdown() async {
        await http.shutdown()
    }

    func send(
        _ method: String,
        _ path: String,
        query: [String: String] = [:],
        body: JSONValue? = nil,
        bytes: [UInt8]? = nil,
        contentType: String = Representation.jsonType,
        accept: String = Representation.jsonType,
        token: String? = SimulatedAPIServer.adminToken
    ) async throws -> Response {
        var request = request(method, path, query: query, accept: accept, token: token)
        request.body = bytes ?? body?.serialized
        if request.body != nil { request.headers["Content-Type"] = contentType }
        let response = try await http.execute(request)
        let body = try await response.body.collect(upTo: 1 << 24)
        return Response(status: response.status, headers: response.headers, body: body)
    }

    /// Returns when the watch has begun.
    func watch(
        _ path: String,
        query: [String: String],
        accept: String = Representation.jsonType
    ) async throws -> WatchReader {
        var request = request("GET", path, query: query, accept: accept, token: SimulatedAPIServer.adminToken)
        request.delivery = .streamed
        let response = try await http.execute(request)
        return WatchReader(body: response.body.makeAsyncIterator(), isProtobuf: accept == Representation.protobufType)
    }

    private func request(
        _ method: String,
        _ path: String,
        query: [String: String],
        accept: String,
        token: String?
    ) -> HTTPRequest {
        let unreserved = CharacterSet.alphanumerics.union(CharacterSet(charactersIn: "-._~"))
        let pairs = query.map { name, value in
            "\(name)=\(value.addingPercentEncoding(withAllowedCharacters: unreserved) ?? "")"
        }
        var request = HTTPRequest(
            method: method,
            url: url + path + (pairs.isEmpty ? "" : "?\(pairs.joined(separator: "&"))"),
            headers: ["Accept": accept]
        )
        request.headers["Authorization"] = token.map { "Bearer \($0)" }
        return request
    }
}

/// Splits a watch into its events.
struct WatchReader {
    private(set) var body: HTTPBody.Iterator
    let isProtobuf: Bool
    /// Bytes that were received and are not a whole event yet.
    private(set) var unread: [UInt8] = []

    init(body: HTTPBody.Iterator, isProtobuf: Bool) {
        self.body = body
        self.isProtobuf = isProtobuf
    }

    /// The next event; nil when the watch ended regularly.
    mutating func next() async throws -> (type: String, object: JSONValue)? {
        while true {
            if let event = isProtobuf ? try takeFrame() : try takeLine() { return event }
            guard let chunk = try await body.next() else { return nil }
            unread += chunk
        }
    }

    private mutating func takeLine() throws -> (type: String, object: JSONValue)? {
        guard let end = unread.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let event = try JSONValue(parsing: Array(unread[..<end]))
        unread.removeSubrange(...end)
        return (event["type"]?.string ?? "", event["object"] ?? .null)
    }

    private mutating func takeFrame() throws -> (type: String, object: JSONValue)? {
        guard unread.count >= 4 else { return nil }
        let length = unread.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard unread.count >= 4 + length else { return nil }
        let frame = Array(unread[4..<4 + length])
        unread.removeFirst(4 + length)
        var type = ""
        var object: JSONValue = [:]
        var reader = WireReader(frame[...])
        while let (number, content) = try reader.next() {
            guard case .bytes(let bytes) = content else { continue }
            if number == 1 { type = String(decoding: bytes, as: UTF8.self) }
            var rawExtension = WireReader(bytes)
            if number == 2, case .bytes(let raw)? = try rawExtension.next()?.content {
                let envelope = try Envelope(parsing: Array(raw))
                let schema = envelope.kind == "Status" ? .status : ResourceType.find(kind: envelope.kind)?.schema
                object = try schema?.decode(envelope.raw) ?? .null
            }
        }
        return (type, object)
    }
}
