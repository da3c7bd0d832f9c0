"""Files compressed in every way that zlib knows, beside what they were: make-gzip.py DIRECTORY SEED."""

import random
import sys
import zlib

directory, seed = sys.argv[1], int(sys.argv[2])
draw = random.Random(seed)
text = b"".join(draw.choice([b"lorem ", b"ipsum ", b"dolor sit ", b"\n"]) for _ in range(60000))
plains = {
    "empty": b"",
    "one": b"x",
    "text": text,
    "random": draw.randbytes(300000),
    "run": b"\0" * 700000,
    "near": bytes(draw.choice(b"ab") for _ in range(100000)),
    "mixed": b"".join(draw.randbytes(draw.randrange(3000)) + text[: draw.randrange(9000)] for _ in range(60)),
    "skewed": bytes(int(draw.expovariate(0.08)) & 255 for _ in range(400000)),
}
strategies = {"default": 0, "filtered": 1, "huffman": 2, "runs": 3, "fixed": 4}
for name, plain in plains.items():
    ways = [(f"{strategy}-{level}", level, number) for strategy, number in strategies.items() for level in (1, 6)]
    for way, level, strategy in [*ways, ("stored", 0, 0)]:
        coder = zlib.compressobj(level, zlib.DEFLATED, 31, 8, strategy)
        encoded = coder.compress(plain[: len(plain) // 2]) + coder.flush(zlib.Z_FULL_FLUSH)
        encoded += coder.compress(plain[len(plain) // 2 :]) + coder.flush()
        for kind, suffix in ((plain, "plain"), (encoded, "gz")):
            with open(f"{directory}/{name}-{way}.{suffix}", "wb") as file:
                file.write(kind)
