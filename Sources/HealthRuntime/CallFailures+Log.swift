// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

package import HealthCore
package import Logging

extension CallFailures.Line {
    /// The level of the line about the failed call.
    package var level: Logger.Level { self == .quiet ? .debug : .warning }

    /// What the line says of earlier failures.
    package var metadata: Logger.Metadata {
        guard case .lasting(let age, let count) = self else { return [:] }
        return ["for": .stringConvertible(age.wholeSeconds), "count": .stringConvertible(count)]
    }
}

extension CallFailures.Ended {
    package var metadata: Logger.Metadata {
        [
            "code": "\(code)", "after": .stringConvertible(age.wholeSeconds), "count": .stringConvertible(count),
        ]
    }
}
