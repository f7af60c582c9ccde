// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Serves a request: authentication, the test's interceptor, authorization, then the cluster.
struct RequestHandler: Sendable {
    let cluster: Cluster
    let users: UserDirectory
    let journal: Journal<RequestRecord>
    /// The latest interceptor.
    let interceptor: @Sendable () -> Interceptor?
    let bookmarkInterval: Duration
    let clock: any Clock<Duration>

    func handle(_ http: TestHTTPRequest) async throws -> TestHTTPResponse {
        let user = users.authorizer.user(authorization: http.header("authorization"))
        var request = APIRequest(http, user: user?.name)
        request.resolve()
        let body = RequestBody(http.body, of: request)
        request.body = body.value

        var record = RequestRecord(request: request)
        let response: TestHTTPResponse
        switch await interceptor()?(request) {
        case nil:
            response = try serve(request, body, user)
            record.served = response.status
        case .fail(let error, let headers):
            response = try .status(error, to: request, headers: headers)
        case .respond(let status, let headers, let bytes):
            response = TestHTTPResponse(status: status, headers: headers, bytes: bytes)
        case .silence:
            response = TestHTTPResponse(body: .stream { _ in await untilCancelled() })
        case .cut:
            journal.append(record)
            throw ConnectionCut()
        case .loseResponse:
            record.served = try serve(request, body, user).status
            record.time = .now
            journal.append(record)
            throw ConnectionCut()
        case .hold:
            journal.append(record)
            await untilCancelled()
            throw ConnectionCut()
        case .holdResponse:
            record.served = try serve(request, body, user).status
            record.time = .now
            journal.append(record)
            await untilCancelled()
            throw ConnectionCut()
        }
        record.code = response.status
        record.time = .now
        journal.append(record)
        return response
    }

    /// The cluster's response, or the error of an unauthorized request.
    private func serve(_ request: APIRequest, _ body: RequestBody, _ user: APIUser?) throws -> TestHTTPResponse {
        do throws(StatusError) {
            try users.authorizer.authorize(request, user: user)
            return try respond(to: request, body: body, user)
        } catch {
            return try .status(error, to: request)
        }
    }

    private func respond(
        to request: APIRequest,
        body: RequestBody,
        _ user: APIUser?
    ) throws(StatusError) -> TestHTTPResponse {
        if request.verb == nil || request.resource.isEmpty { return try page(of: request) }
        guard let type = request.type else { throw .unknownPath }
        guard request.subresource.isEmpty || type.subresources.contains(request.subresource) else { throw .unknownPath }
        guard request.query["dryRun"].map({ $0 == "All" }) ?? true else {
            throw .badRequest("the simulated server supports dryRun=All only")
        }
        let includeObject = request.query["includeObject"]
        guard let representation = Representation(accept: request.accept, includeObject: includeObject) else {
            throw .notAcceptable([Representation.jsonType, Representation.protobufType])
        }
        if type.kind == ResourceType.selfSubjectAccessReviews.kind {
            guard request.verb == .create else { throw .methodNotAllowed }
            let review = try users.authorizer.complete(try body.required(), user: user)
            return try .encoded(representation, status: 201) { () throws(SchemaError) in
                try representation.object(type, review, now: cluster.now())
            }
        }
        switch request.verb {
        case .watch: return try watch(type, request, representation)
        case .list: return try list(type, request, representation)
        default: return try serve(type, request, body, representation)
        }
    }

    /// Paths that are not resources: health and discovery.
    private func page(of request: APIRequest) throws(StatusError) -> TestHTTPResponse {
        guard request.method == "GET" else { throw .methodNotAllowed }
        switch request.path {
        case "/healthz", "/livez", "/readyz":
            return TestHTTPResponse(status: 200, headers: ["Content-Type": "text/plain"], bytes: Array("ok".utf8))
        case "/version":
            return TestHTTPResponse(
                status: 200,
                headers: ["Content-Type": Representation.jsonType, "Date": cluster.now().httpDate],
                bytes: JSONValue.object(["gitVersion": .string(cluster.version)]).serialized
            )
        case "/openapi/v2":
            return TestHTTPResponse(
                status: 200,
                headers: ["Content-Type": "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"],
                bytes: Discovery.emptyOpenAPIv2
            )
        default:
            guard let document = Discovery.document(path: request.path) else { throw .unknownPath }
            return TestHTTPResponse(
                status: 200,
                headers: ["Content-Type": Representation.jsonType],
                bytes: document.serialized
            )
        }
    }
}

/// Returns when the task is cancelled: the client gave up, or the server ends.
func untilCancelled() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
    for await _ in stream {}
    continuation.finish()
}
