import manifest from "../package.json" with { type: "json" };

/** Version of this berth, as its package says. */
export const berthVersion: string = manifest.version;
