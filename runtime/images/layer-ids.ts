/**
 * Owner on disk = this + the id in the image. It is the first id of systemd's "foreign UID range", which no user of
 * the host has, so that a setuid-root file of an image is not setuid-root on the host. Containers see the ids of the
 * image again through idmapped mounts.
 */
export const LAYER_ID_BASE = 0x7ffe_0000;
