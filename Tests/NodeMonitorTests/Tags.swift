// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

/// The rules of the contract in docs/architecture.md.
extension Tag {
    @Tag static var rule1: Self
    @Tag static var rule5: Self
    @Tag static var rule6: Self
    @Tag static var rule7: Self
    @Tag static var rule8: Self
    @Tag static var rule9: Self
    @Tag static var rule10: Self
    @Tag static var rule11: Self
    @Tag static var rule12: Self
}
