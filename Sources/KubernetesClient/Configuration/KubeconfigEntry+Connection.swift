// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

// MARK: - Cluster

extension KubeconfigEntry {
    func server() throws(KubernetesConfigurationError) -> String {
        guard var server = try string("server") else { throw error(.missing, "server is missing") }
        let prefix = ["https://", "http://"].first { server.hasPrefix($0) }
        guard prefix != nil, URLAuthority(server) != nil, HTTPRequest.isURL(server) else {
            throw (member("server") ?? self).error(.invalid, "expected a URL: https:// or http:// and a host")
        }
        while server.last == "/" { server.removeLast() }
        return server
    }

    /// nil if `proxy-url` is not set.
    func proxy() throws(KubernetesConfigurationError) -> ProxyURL? {
        guard let text = try string("proxy-url") else { return nil }
        do throws(ProxyURL.Invalid) {
            return try ProxyURL(text)
        } catch {
            throw (member("proxy-url") ?? self).error(.invalid, error.message)
        }
    }

    func tls() throws(KubernetesConfigurationError) -> TLSConfiguration {
        var tls = TLSConfiguration()
        tls.certificateAuthorities = try data("certificate-authority")
        tls.verifiesServer = try !bool("insecure-skip-tls-verify")
        tls.serverName = try string("tls-server-name")
        if let name = tls.serverName,
            !name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) })
        {
            throw (member("tls-server-name") ?? self).error(.invalid, "expected a host name")
        }
        if tls.certificateAuthorities != nil, !tls.verifiesServer {
            throw error(
                .invalid,
                "insecure-skip-tls-verify contradicts certificate-authority: remove one, preferably the first"
            )
        }
        if let authorities = tls.certificateAuthorities, CertificateBundle(pem: authorities).count == 0 {
            throw origin(ofData: "certificate-authority")
                .error(.invalid, "no readable certificate: expected PEM")
        }
        return tls
    }
}

extension KubeconfigEntry {
    /// The certificate authorities that are skipped as unreadable; nil if all are readable.
    func skippedAuthorities(_ tls: TLSConfiguration) -> KubernetesConfiguration.SkippedAuthorities? {
        let origin = origin(ofData: "certificate-authority")
        return KubernetesConfiguration.SkippedAuthorities(
            tls,
            source: "\(origin.file):\(origin.node.line): \(origin.key)"
        )
    }
}

// MARK: - User

extension KubeconfigEntry {
    /// Rejects ways to authenticate that would otherwise be ignored, and lead to a 401 without an explanation.
    func rejectUnsupportedCredentials(user: String) throws(KubernetesConfigurationError) {
        let advice = "give it a token, a tokenFile, a client certificate or an exec plugin"
        let unsupported = [
            "auth-provider": "auth-provider is not supported: \(advice)",
            "username": "API servers no longer accept a user name and a password: \(advice)",
            "password": "API servers no longer accept a user name and a password: \(advice)",
            "as": "impersonation is not supported: create a user for this program and \(advice)",
            "as-uid": "impersonation is not supported: create a user for this program and \(advice)",
            "as-groups": "impersonation is not supported: create a user for this program and \(advice)",
        ]
        guard case .mapping(let members) = node.content else { return }
        for setting in members {
            if let reason = unsupported[setting.key], let member = member(setting.key) {
                throw member.error(.unsupported, "user \"\(user)\": \(reason)")
            }
        }
    }

    func clientCertificate() throws(KubernetesConfigurationError) -> TLSConfiguration.ClientCertificate? {
        switch (try data("client-certificate"), try data("client-key")) {
        case (let certificate?, let key?):
            let client = TLSConfiguration.ClientCertificate(certificate: certificate, privateKey: key)
            do throws(TLSConfiguration.ClientCertificate.Problem) {
                try client.check()
            } catch {
                let origin = origin(ofData: error.part == .certificate ? "client-certificate" : "client-key")
                throw origin.error(.invalid, error.message)
            }
            return client
        case (nil, nil):
            return nil
        case (_?, nil):
            throw error(.missing, "client-certificate needs a client-key")
        case (nil, _?):
            throw error(.missing, "client-key needs a client-certificate")
        }
    }

    /// nil unless both certificate and key come from files.
    func clientCertificateFiles() throws(KubernetesConfigurationError) -> TLSFiles.ClientCertificate? {
        guard let certificate = try dataFile("client-certificate"), let key = try dataFile("client-key") else {
            return nil
        }
        return TLSFiles.ClientCertificate(certificate: certificate, privateKey: key)
    }

    func credentials() throws(KubernetesConfigurationError) -> KubernetesConfiguration.Credentials {
        // As in client-go, tokenFile takes precedence over token.
        if let path = try file("tokenFile") {
            _ = try bearerToken(inFile: path, readFile: readFile)
            return .tokenFile(path: path)
        }
        guard let token = try string("token") else { return .none }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw (member("token") ?? self).error(.invalid, "contains characters that are invalid in a bearer token")
        }
        return .token(token)
    }
}
