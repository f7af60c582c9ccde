// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL
import FoundationEssentials

/// Certificate authorities as Go reads them: unreadable certificates are skipped, and so are other blocks than
/// certificates. libcurl itself refuses the whole bundle.
///
/// Source: `AppendCertsFromPEM` in crypto/x509/cert_pool.go.
package struct CertificateBundle: Sendable, Hashable {
    /// In DER.
    private let certificates: [[UInt8]]
    /// The positions, from 1, of the `CERTIFICATE` blocks that cannot be read.
    package let skipped: [Int]
    /// Whether every block has its end line, which a file that is still being written lacks; so does one with a block
    /// that was damaged for good.
    package let isComplete: Bool

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

    /// The number of readable certificates. With 0, no server can be trusted.
    package var count: Int { certificates.count }

    /// The readable certificates.
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
            // d2i_X509(3): moves the pointer past what it has read; returns NULL for anything but a certificate.
            var position = buffer.baseAddress
            guard let certificate = unsafe d2i_X509(nil, &position, buffer.count) else { return false }
            defer { unsafe X509_free(certificate) }
            // An authority whose key cannot be used would only make the verification of other certificates fail.
            return unsafe position == buffer.baseAddress.map { unsafe $0 + buffer.count }
                && X509_get0_pubkey(certificate) != nil
        }
    }
}
