// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import KubernetesAPI

/// The wall clock.
enum WallClock {
    static var secondsSince1970: Double {
        let time = Time.now()
        return Double(time.seconds) + Double(time.nanos) / 1e9
    }
}
