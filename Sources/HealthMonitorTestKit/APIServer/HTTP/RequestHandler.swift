// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// What becomes of a request: who asks, what a test does to it, whether it is allowed, what the cluster says.
struct RequestHandler: Sendable {
    let cluster: Cluster
    let authorizer: Authorizer
    let journal: Journal<RequestRecord>
    /// The latest interceptor.
    let interceptor: @Sendable () -> Interceptor?
    let bookmarkInterval: Duration
    let clock: any Clock<Duration>

    func handle(_ http: TestHTTPRequest) async throws -> TestHTTPResponse {
        let user = authorizer.user(authorization: http.header("authorization"))
        var request = APIRequest(http, user: user?.name)
        request.resolve()
        let body = RequestBody(http.body, of: request)
        request.body = body.value

        let response: TestHTTPResponse
        switch await interceptor()?(request) {
        case nil:
            do throws(StatusError) {
                try authorizer.authorize(request, user: user)
                response = try respond(to: request, body: body)
            } catch {
                response = try .status(error, to: request)
            }
        case .fail(let error, let headers):
            response = try .status(error, to: request, headers: headers)
        case .answer(let status, let headers, let bytes):
            response = TestHTTPResponse(status: status, headers: headers, bytes: bytes)
        case .cut:
            journal.append(RequestRecord(request: request, code: nil))
            throw ConnectionCut()
        }
        journal.append(RequestRecord(request: request, code: response.status))
        return response
    }

    private func respond(to request: APIRequest, body: RequestBody) throws(StatusError) -> TestHTTPResponse {
        if request.verb == nil || request.resource.isEmpty { return try page(of: request) }
        guard let type = request.type else { throw .unknownPath }
        guard request.subresource.isEmpty || type.subresources.contains(request.subresource) else { throw .unknownPath }
        guard request.query["dryRun"] == nil else {
            throw .badRequest("the simulated server knows no dry run")
        }
        let includeObject = request.query["includeObject"]
        guard let representation = Representation(accept: request.accept, includeObject: includeObject) else {
            throw .notAcceptable([Representation.jsonType, Representation.protobufType])
        }
        switch request.verb {
        case .watch: return try watch(type, request, representation)
        case .list: return try list(type, request, representation)
        default: return try serve(type, request, body, representation)
        }
    }

    /// What is no resource: health and discovery.
    private func page(of request: APIRequest) throws(StatusError) -> TestHTTPResponse {
        guard request.method == "GET" else { throw .methodNotAllowed }
        switch request.path {
        case "/healthz", "/livez", "/readyz":
            return TestHTTPResponse(status: 200, headers: ["Content-Type": "text/plain"], bytes: Array("ok".utf8))
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
