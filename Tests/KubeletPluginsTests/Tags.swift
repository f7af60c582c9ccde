// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors
