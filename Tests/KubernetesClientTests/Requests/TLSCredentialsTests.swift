// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Foundation
import HTTPTransport
import HealthMonitorTestKit
import InMemoryLogging
import KubernetesAPI
import Logging
import Synchronization
import Testing

@testable import KubernetesClient

/// Certificates and keys that change in their files, over real TLS connections.
@Suite(.timeLimit(.minutes(50))) struct TLSCredentialsTests {
    private let authority: TestCertificateAuthority
    private let first: TestIdentity
    private let second: TestIdentity

    init() throws {
        authority = try TestCertificateAuthority()
        first = try authority.issueClient(commonName: "first")
        second = try authority.issueClient(commonName: "second")
    }

    /// A server without objects and with one user, the common name of the client's certificate; and a client with the
    /// files `ca.crt`, `client.crt` and `client.key`, initially those of the server's authority and of `first`.
    private struct Scene {
        let directory: String
        let server: TestHTTPServer
        let client: KubernetesClient
        let clock: SkippingClock
        let user: Mutable<String>
        /// The common names of the client certificates, one for each request.
        let clients: Collected<String>
        private let handler: InMemoryLogHandler

        init(directory: String, server: TestHTTPServer, user: Mutable<String>, clients: Collected<String>) throws {
            let kubeconfig = """
                current-context: main
                contexts: [{name: main, context: {cluster: main, user: main}}]
                clusters: [{name: main, cluster: {server: "\(server.url)", certificate-authority: ca.crt}}]
                users: [{name: main, user: {client-certificate: client.crt, client-key: client.key}}]
                """
            try KubernetesClientTests.write(kubeconfig, to: "\(directory)/config")
            var handler = InMemoryLogHandler()
            handler.logLevel = .trace
            let clock = SkippingClock()
            client = try KubernetesClient(
                configuration: .load(kubeconfig: "\(directory)/config"),
                userAgent: "test",
                rateLimit: nil,
                connectTimeout: .seconds(3600),
                requestTimeout: .seconds(3600),
                logger: Logger(label: "test") { [handler] _ in handler },
                clock: clock
            )
            self.handler = handler
            self.directory = directory
            self.server = server
            self.clock = clock
            self.user = user
            self.clients = clients
        }

        func write(_ identity: TestIdentity) throws {
            try write(identity.certificatePEM, to: "client.crt")
            try write(identity.privateKeyPEM, to: "client.key")
        }

        func write(_ text: String, to file: String) throws {
            try KubernetesClientTests.write(text, to: "\(directory)/\(file)")
        }

        /// The code of a request's error. `notFound` means that the user was authenticated.
        func code() async -> KubernetesError.Code? {
            do throws(KubernetesError) {
                let _: Lease = try await client.get(name: "lock", namespace: "default")
                return nil
            } catch {
                return error.code
            }
        }

        /// The log above the debug level, as `level message metadata`.
        var log: [String] {
            handler.entries.filter { $0.level > .debug }.map { "\($0.level) \($0.message) \($0.metadata)" }
        }

        /// The log at all levels.
        var wholeLog: String { handler.entries.map { "\($0.message) \($0.metadata)" }.joined(separator: "\n") }
    }

    private final class Mutable<Value: Sendable>: Sendable {
        private let state: Mutex<Value>
        init(_ value: Value) { state = Mutex(value) }
        var value: Value {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    /// - Parameters:
    ///   - clientAuthority: the authority of the client certificates that the server accepts; its own by default.
    ///   - prepare: changes the files before the first read.
    private func withScene(
        clientAuthority: TestCertificateAuthority? = nil,
        prepare: (_ directory: String) throws -> Void = { _ in },
        _ body: (Scene) async throws -> Void
    ) async throws {
        let user = Mutable("first")
        let clients = Collected<String>()
        let configuration = TestHTTPServer.Configuration(
            identity: try authority.issueServer(names: ["127.0.0.1"]),
            clientAuthority: clientAuthority ?? authority
        )
        try await withTemporaryDirectory { directory in
            try write(authority.certificatePEM, to: "\(directory)/ca.crt")
            try write(first.certificatePEM, to: "\(directory)/client.crt")
            try write(first.privateKeyPEM, to: "\(directory)/client.key")
            try prepare(directory)
            try await TestHTTPServer.withServer(configuration) { request in
                let client = request.peerCommonName ?? "none"
                clients.append(client)
                guard client == user.value else { return TestHTTPResponse(status: 401) }
                let status = #"{"kind":"Status","reason":"NotFound","message":"no such lease","code":404}"#
                return TestHTTPResponse(status: 404, bytes: Array(status.utf8))
            } _: { server in
                let scene = try Scene(directory: directory, server: server, user: user, clients: clients)
                do {
                    try await body(scene)
                } catch {
                    await scene.client.shutdown()
                    throw error
                }
                #expect(!scene.wholeLog.contains("BEGIN"))
                await scene.client.shutdown()
            }
        }
    }

    @Test func `after a minute new connections use the new certificate`() async throws {
        try await withScene { scene in
            #expect(await scene.code() == .notFound)
            try scene.write(second)
            try await scene.clock.sleep(for: .seconds(59))
            #expect(await scene.code() == .notFound)
            try await scene.clock.sleep(for: .seconds(1))
            scene.user.value = "second"
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first", "first", "second"])
            // The idle connection with the old certificate is not used again.
            #expect(scene.server.acceptedConnections == 2)
            #expect(await scene.code() == .notFound)
            #expect(scene.server.acceptedConnections == 2)
            let files = "\(scene.directory)/client.crt \(scene.directory)/client.key"
            #expect(scene.log == [#"notice Reloaded TLS credentials ["files": \#(files)]"#])
        }
    }

    @Test func `a request that is rejected with 401 is sent again with a new certificate`() async throws {
        try await withScene { scene in
            scene.user.value = "second"
            #expect(await scene.code() == .unauthorized)
            try scene.write(second)
            try await scene.clock.sleep(for: .seconds(1))
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first", "first", "second"])
        }
    }

    @Test func `requests that were sent with the old certificate are sent again without reading the files`()
        async throws
    {
        try await withScene { scene in
            scene.user.value = "second"
            try scene.write(second)
            await withTaskGroup { group in
                for _ in 0..<8 { group.addTask { await scene.code() } }
                for await code in group { #expect(code == .notFound) }
            }
            #expect(scene.clients.values.filter { $0 == "second" }.count == 8)
        }
    }

    @Test func `a server that accepts only the new certificate is reached at once`() async throws {
        let other = try TestCertificateAuthority()
        try await withScene(clientAuthority: other) { scene in
            let refused = await scene.code()
            #expect(refused == .transport)
            #expect(scene.clients.values == [])
            try scene.write(try other.issueClient(commonName: "first"))
            try await scene.clock.sleep(for: .seconds(1))
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first"])
        }
    }

    @Test func `a server with a certificate of a new authority is trusted with the new file`() async throws {
        try await withScene { scene in
            #expect(await scene.code() == .notFound)
            let other = try TestCertificateAuthority()
            try await scene.server.present(try other.issueServer(names: ["127.0.0.1"]))
            #expect(await scene.code() == .transport)
            try scene.write("\(authority.certificatePEM)\n\(other.certificatePEM)", to: "ca.crt")
            try await scene.clock.sleep(for: .seconds(1))
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first", "first"])
            #expect(scene.log == [#"notice Reloaded TLS credentials ["files": \#(scene.directory)/ca.crt]"#])
        }
    }

    @Test func `certificate and key may be one file behind a symbolic link that is replaced`() async throws {
        let (first, second) = (first, second)
        try await withScene { directory in
            for (name, identity) in [("1.pem", first), ("2.pem", second)] {
                try write("\(identity.certificatePEM)\n\(identity.privateKeyPEM)", to: "\(directory)/\(name)")
            }
            for file in ["client.crt", "client.key"] {
                try FileManager.default.removeItem(atPath: "\(directory)/\(file)")
                try FileManager.default.createSymbolicLink(
                    atPath: "\(directory)/\(file)",
                    withDestinationPath: "current.pem"
                )
            }
            try FileManager.default.createSymbolicLink(atPath: "\(directory)/current.pem", withDestinationPath: "1.pem")
        } _: { scene in
            #expect(await scene.code() == .notFound)
            try FileManager.default.createSymbolicLink(
                atPath: "\(scene.directory)/next.pem",
                withDestinationPath: "2.pem"
            )
            let renamed = unsafe rename("\(scene.directory)/next.pem", "\(scene.directory)/current.pem")
            #expect(renamed == 0)
            scene.user.value = "second"
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first", "first", "second"])
        }
    }

    enum Damage: CaseIterable {
        case certificateMissing, certificateEmpty, certificateCutOff, keyOfAnother, keyMissing, keyCutOff, keyEncrypted
        case authorityMissing, authorityEmpty
    }

    @Test(arguments: Damage.allCases)
    func `a file that is temporarily unusable leaves the last one in use`(_ damage: Damage) async throws {
        try await withScene { scene in
            #expect(await scene.code() == .notFound)
            try scene.write(second)
            try await damageFile(damage, scene)
            for _ in 0..<3 {
                try await scene.clock.sleep(for: .seconds(60))
                #expect(await scene.code() == .notFound)
            }
            #expect(scene.log.count == 1)
            let line = try #require(scene.log.first)
            #expect(line.hasPrefix("warning Failed to reload TLS credentials, using the last ones"), "\(line)")
            #expect(line.contains("\(scene.directory)/client.crt"), "\(line)")
            // The repaired file is used.
            try scene.write(second)
            try scene.write(authority.certificatePEM, to: "ca.crt")
            try await scene.clock.sleep(for: .seconds(60))
            scene.user.value = "second"
            #expect(await scene.code() == .notFound)
            #expect(scene.clients.values == ["first", "first", "first", "first", "second"])
            #expect(scene.log.count == 2)
            #expect(scene.server.acceptedConnections == 2)
        }
    }

    private func damageFile(_ damage: Damage, _ scene: Scene) async throws {
        func remove(_ file: String) throws { try FileManager.default.removeItem(atPath: "\(scene.directory)/\(file)") }
        func half(_ text: String) -> String { String(text.prefix(text.count / 2)) }
        switch damage {
        case .certificateMissing: try remove("client.crt")
        case .certificateEmpty: try scene.write("", to: "client.crt")
        case .certificateCutOff: try scene.write(half(second.certificatePEM), to: "client.crt")
        case .keyOfAnother: try scene.write(first.privateKeyPEM, to: "client.key")
        case .keyMissing: try remove("client.key")
        case .keyCutOff: try scene.write(half(second.privateKeyPEM), to: "client.key")
        case .keyEncrypted:
            try scene.write(encryptedKey, to: "client.key")
        case .authorityMissing: try remove("ca.crt")
        case .authorityEmpty: try scene.write("", to: "ca.crt")
        }
    }

    @Test func `an incomplete file of authorities is used when it stays so, with a warning`() async throws {
        try await withScene { scene in
            let other = try TestCertificateAuthority()
            try await scene.server.present(try other.issueServer(names: ["127.0.0.1"]))
            let cutOff = other.certificatePEM.prefix(other.certificatePEM.count / 2)
            try scene.write("\(other.certificatePEM)\n\(cutOff)", to: "ca.crt")
            try await scene.clock.sleep(for: .seconds(60))
            #expect(await scene.code() == .transport)
            try await scene.clock.sleep(for: .seconds(60))
            #expect(await scene.code() == .notFound)
            let file = "\(scene.directory)/ca.crt"
            #expect(scene.log.count == 3, "\(scene.log)")
            let failure = "warning Failed to reload TLS credentials, using the last ones"
            #expect(scene.log.first?.hasPrefix(failure) == true)
            #expect(scene.log.first?.contains("the file of certificate authorities is incomplete") == true)
            #expect(scene.log.dropFirst().first == #"notice Reloaded TLS credentials ["files": \#(file)]"#)
            #expect(scene.log.last?.hasPrefix("warning Skipped unreadable certificate authorities") == true)
            #expect(scene.log.last?.contains(#""source": \#(file)"#) == true)
        }
    }

    @Test func `without files nothing is read, and no request is sent again`() throws {
        let applied = Collected<TLSConfiguration>()
        let configuration = KubernetesConfiguration(
            server: "https://api.example",
            tls: TLSConfiguration(certificateAuthorities: Array("no file".utf8))
        )
        let credentials = TLSCredentials(configuration, now: .zero, logger: Logger(label: "test")) {
            applied.append($0)
        }
        #expect(credentials.current(now: .seconds(100)) == 0)
        #expect(credentials.replacement(for: 0, now: .seconds(100)) == nil)
        #expect(applied.values.isEmpty)
    }
}

/// A key with a password: `openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -v2 aes-128-cbc`
private let encryptedKey = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgZXkqInFy26AICA+gw
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEJGmbUslgJHOa38yoSi+5+4EgZAU
    COdKQO7J3V8Oyx4UqGk2VuKSU7F1t1i7Ou+Tk6oGNK0cpvFUuNX+tv36ipWmLh9C
    bi0j7NhumNA0+vGZQ6UjD72+GxrCSJ+DADAKo1aj3ISKDo5tA5g1o37Qk+5YX3QD
    YiIa94IvUUX7cIKjM4CO35bZaAHB+yY+DPZouMJfpTTasqEItXyVCkXw0jSnsHA=
    -----END ENCRYPTED PRIVATE KEY-----
    """
