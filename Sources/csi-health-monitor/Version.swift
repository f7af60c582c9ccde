// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import CBuildSettings

extension Program {
    /// The version by git, without its leading `v`: `0.1.0` on a tag, `0.1.0-5-g0fc2dc3` five commits later.
    /// scripts/build.sh sets it by CSI_HEALTH_MONITOR_VERSION. In other builds it is the version of the changelog's top
    /// entry with `-dev`.
    // Safe: a string literal of C.
    static let version = unsafe String(cString: cbuildsettings_version())

    /// The commit. scripts/build.sh sets it by CSI_HEALTH_MONITOR_REVISION; `unknown` in other builds.
    // Safe: a string literal of C.
    static let revision = unsafe String(cString: cbuildsettings_revision())

    /// The line that `--version` prints. scripts/image.sh reads the image's labels from it.
    static var versionLine: String { "csi-health-monitor \(version) (\(revision))" }

    /// The compiler's version, as far as conditional compilation shows it.
    static var swiftVersion: String {
        #if compiler(>=6.4)
        "6.4 or later"
        #elseif compiler(>=6.3)
        "6.3"
        #else
        "6.2"
        #endif
    }
}
