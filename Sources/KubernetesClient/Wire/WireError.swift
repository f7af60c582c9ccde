// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

/// Bytes of the API server that are not what they should be.
package struct WireError: Error, Hashable {
    package var message: String
}
