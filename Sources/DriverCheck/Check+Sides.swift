// SPDX-License-Identifier: Apache-2.0
// Copyright the csi-health-monitor authors

// The node service, and the volume of --create-volume.

extension Check {
    static let sideDefinitions: [Check: Definition] = [
        .emptyPath: Definition(
            severity: .error,
            section: "NodeGetVolumeStats",
            title: "An empty volume_path is INVALID_ARGUMENT",
            advice: "Validate the required fields of the request.",
            effect: "None: no such call is made.",
            skipReason: "NodeGetVolumeStats does not report health, or no --volume-id is set",
            sides: [.node]
        ),
        .unknownPath: Definition(
            severity: .error,
            section: "NodeGetVolumeStats",
            title: "A volume_path that does not exist is NOT_FOUND",
            advice: "Return NOT_FOUND if the volume is not at the path.",
            effect: "A volume that was unmounted is not reported missing.",
            skipReason: "NodeGetVolumeStats does not report health, or no --volume-id is set",
            sides: [.node]
        ),
        .optionalPaths: Definition(
            severity: .error,
            section: "NodeGetVolumeHealth",
            title: "volume_publish_path and staging_target_path may be empty",
            advice: "Report the volume's health also where it is not staged and not published.",
            effect: "The call counts as failed while a volume is not yet published.",
            skipReason: "NodeGetVolumeHealth does not exist, or no --volume-id is set",
            sides: [.node]
        ),
        .storageHealth: Definition(
            severity: .error,
            section: "NodeGetStorageHealth",
            title: "The problems of the storage have a status and unique reasons",
            advice: "Set status and reason, once for each volume_capability.",
            effect: "The entries are merged; without a status they are reported as unknown.",
            skipReason: "the driver does not announce GET_STORAGE_HEALTH",
            sides: [.node]
        ),
        .created: Definition(
            severity: .error,
            section: "CreateVolume",
            title: "A volume is created, and has a volume_id",
            advice: "See the driver's log.",
            effect: "None: volumes are not created.",
            skipReason: "requires --create-volume",
            sides: [.controller]
        ),
        .createdFound: Definition(
            severity: .error,
            section: "ListVolumes, ControllerGetVolume, ControllerGetVolumeHealth",
            title: "A created volume is found, and listed by ListVolumes",
            advice: "Return all volumes that the driver knows.",
            effect: "The volume is reported missing.",
            skipReason: "requires --create-volume",
            sides: [.controller]
        ),
        .deleted: Definition(
            severity: .error,
            section: "DeleteVolume",
            title: "A volume is deleted, and deleting it again is OK",
            advice: "Make DeleteVolume idempotent.",
            effect: "None: volumes are not deleted.",
            skipReason: "requires --create-volume",
            sides: [.controller]
        ),
        .deletedGone: Definition(
            severity: .error,
            section: "ControllerGetVolume, ControllerGetVolumeHealth",
            title: "A deleted volume is NOT_FOUND",
            advice: "Return NOT_FOUND for a volume that does not exist.",
            effect: "A deleted volume is not reported missing.",
            skipReason: "requires --create-volume",
            sides: [.controller]
        ),
    ]
}
