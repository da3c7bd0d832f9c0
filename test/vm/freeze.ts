/** Boots and freezes the image that is named, so that tests beside each other find it done. */
import { freezeGuest } from "./frozen-guest.ts";

const [image] = process.argv.slice(2);
if (image === undefined) throw new Error("cannot freeze: the image's folder is expected");
await freezeGuest(image);
