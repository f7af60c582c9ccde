// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import HTTPTransport

// MARK: A cluster

extension KubeconfigEntry {
    func server() throws(KubernetesConfigurationError) -> String {
        guard var server = try string("server") else { throw error(.missing, "there is no server in it") }
        let prefix = ["https://", "http://"].first { server.hasPrefix($0) }
        guard prefix != nil, URLAuthority(server) != nil, HTTPRequest.isURL(server) else {
            throw (member("server") ?? self).error(.invalid, "a URL is expected, https:// or http:// and a host")
        }
        while server.last == "/" { server.removeLast() }
        return server
    }

    /// nil: none is named.
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
            throw (member("tls-server-name") ?? self).error(.invalid, "a host's name is expected")
        }
        if tls.certificateAuthorities != nil, !tls.verifiesServer {
            throw error(
                .invalid,
                "insecure-skip-tls-verify contradicts certificate-authority: remove one, better the first"
            )
        }
        if let authorities = tls.certificateAuthorities, CertificateBundle(pem: authorities).count == 0 {
            throw origin(ofData: "certificate-authority")
                .error(.invalid, "there is no certificate that can be read: PEM is expected")
        }
        return tls
    }
}

extension KubeconfigEntry {
    /// What of a cluster's authorities is skipped; nil where all can be read.
    func skippedAuthorities(_ tls: TLSConfiguration) -> KubernetesConfiguration.SkippedAuthorities? {
        let origin = origin(ofData: "certificate-authority")
        return KubernetesConfiguration.SkippedAuthorities(
            tls,
            source: "\(origin.file):\(origin.node.line): \(origin.key)"
        )
    }
}

// MARK: A user

extension KubeconfigEntry {
    /// Ways to authenticate that would be passed over in silence otherwise, and end in a 401 that explains nothing.
    func refuseUnsupportedCredentials(user: String) throws(KubernetesConfigurationError) {
        let advice = "give it a token, a tokenFile, a client certificate or an exec plugin"
        let unsupported = [
            "auth-provider": "auth-provider is not supported, kubectl itself has dropped it: \(advice)",
            "username": "API servers no longer take a user name and a password: \(advice)",
            "password": "API servers no longer take a user name and a password: \(advice)",
            "as": "impersonation is not supported: make a user for this program and \(advice)",
            "as-uid": "impersonation is not supported: make a user for this program and \(advice)",
            "as-groups": "impersonation is not supported: make a user for this program and \(advice)",
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
            throw error(.missing, "client-certificate has no client-key beside it")
        case (nil, _?):
            throw error(.missing, "client-key has no client-certificate beside it")
        }
    }

    /// nil unless both come from files.
    func clientCertificateFiles() throws(KubernetesConfigurationError) -> TLSFiles.ClientCertificate? {
        guard let certificate = try dataFile("client-certificate"), let key = try dataFile("client-key") else {
            return nil
        }
        return TLSFiles.ClientCertificate(certificate: certificate, privateKey: key)
    }

    func credentials() throws(KubernetesConfigurationError) -> KubernetesConfiguration.Credentials {
        // As in client-go, the file wins.
        if let path = try file("tokenFile") {
            _ = try bearerToken(inFile: path, readFile: readFile)
            return .tokenFile(path: path)
        }
        guard let token = try string("token") else { return .none }
        guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw (member("token") ?? self).error(.invalid, "it holds characters that no bearer token has")
        }
        return .token(token)
    }
}
