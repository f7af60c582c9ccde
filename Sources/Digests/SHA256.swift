// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import COpenSSL

/// The SHA-256 digest of the text's UTF-8, in 64 lower-case hexadecimal digits.
package func sha256Hex(_ text: String) -> String {
    var text = text
    var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
    text.withUTF8 { bytes in
        unsafe digest.withUnsafeMutableBufferPointer { digest in
            // Reads bytes.count bytes and writes SHA256_DIGEST_LENGTH: openssl.org, man page SHA256(3).
            _ = unsafe SHA256(bytes.baseAddress, bytes.count, digest.baseAddress)
        }
    }
    return String(
        decoding: digest.flatMap { [hexDigits[Int($0 >> 4)], hexDigits[Int($0 & 15)]] },
        as: UTF8.self
    )
}

private let hexDigits = Array("0123456789abcdef".utf8)
