// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL
import FoundationEssentials

/// Certificate authorities as Go reads them: certificates that cannot be read are skipped, and so are blocks that are no
/// certificates. libcurl itself refuses the whole bundle.
///
/// Source: `AppendCertsFromPEM` in crypto/x509/cert_pool.go.
package struct CertificateBundle: Sendable, Hashable {
    /// In DER.
    private let certificates: [[UInt8]]
    /// Which of the bundle's `CERTIFICATE` blocks cannot be read, counted from 1.
    package let skipped: [Int]

    /// Whether every block has its end; a file that is being written has not.
    package let isComplete: Bool

    /// Reads a bundle.
    package init(pem: [UInt8]) {
        var certificates: [[UInt8]] = []
        var skipped: [Int] = []
        for block in PEMBlock.blocks(of: pem) where block.label == "CERTIFICATE" {
            if let contents = block.contents, block.headers.isEmpty, Self.isCertificate(contents) {
                certificates.append(contents)
            } else {
                skipped.append(certificates.count + skipped.count + 1)
            }
        }
        self.certificates = certificates
        self.skipped = skipped
        let lines = pem.split(separator: UInt8(ascii: "\n"))
        isComplete =
            lines.count { $0.starts(with: "-----BEGIN ".utf8) } == lines.count { $0.starts(with: "-----END ".utf8) }
    }

    /// How many can be read. With none, no server can be trusted.
    package var count: Int { certificates.count }

    /// Those that can be read.
    var pem: [UInt8] {
        certificates.flatMap { certificate in
            let base64 = Data(certificate).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
            return "-----BEGIN CERTIFICATE-----\n\(base64)\n-----END CERTIFICATE-----\n".utf8
        }
    }

    private static func isCertificate(_ contents: [UInt8]) -> Bool {
        ERR_set_mark()
        defer { ERR_pop_to_mark() }
        return unsafe contents.withUnsafeBufferPointer { buffer in
            // d2i_X509(3): moves the pointer behind what it has read; NULL where that is no certificate.
            var position = buffer.baseAddress
            guard let certificate = unsafe d2i_X509(nil, &position, buffer.count) else { return false }
            defer { unsafe X509_free(certificate) }
            // A certificate with a key that cannot be used would only fail the verification of others.
            return unsafe position == buffer.baseAddress.map { unsafe $0 + buffer.count }
                && X509_get0_pubkey(certificate) != nil
        }
    }
}
