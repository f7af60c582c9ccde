// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// A private key that is encrypted with a password.
package enum EncryptedKey {
    /// PKCS#8 in PEM, made by openssl for tests only; the password is "x".
    package static let pem = """
        -----BEGIN ENCRYPTED PRIVATE KEY-----
        MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi3MtNc3+iYOgICCAAw
        DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEDCsNQ6RQytksvD2ZLR4wyoEgZA8
        eyF4NFbhoQHJeWqhjN63R+tgwKMpYCx72iIMLprbt4dyVlB7IgyKbyLCz7MhU8ve
        YpedQTXXTgzqx3dH3t4wwh/XZGtIU/QkTusE+k/EkbDiAR0GPNI/cyWmUjFP4PDC
        FZXodHIrUC4w+tdQ86khKuEMcgHdKTQw5tQmUhht+YH03m5W9nrf+cyTJULwZ+c=
        -----END ENCRYPTED PRIVATE KEY-----
        """
}
