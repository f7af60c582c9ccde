// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

import Testing

/// The promises in docs/reliability.md.
extension Tag {
    @Tag static var promiseA: Self
    @Tag static var promiseB: Self
    @Tag static var promiseC: Self
    @Tag static var promiseD: Self
    @Tag static var promiseE: Self
    @Tag static var promiseF: Self
}
