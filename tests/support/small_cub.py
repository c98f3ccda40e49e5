"""A CUB of 20 drawn birds with captions from a grammar, in the original layout."""

from PIL import Image, ImageDraw

COLOURS = {"001.Red_bird": "red", "002.Blue_bird": "blue", "003.Green_bird": "green", "004.White_bird": "white"}
PARTS = ("beak", "tail", "wing", "crown", "belly")


def captions(colour, number):
    """Ten captions of a bird: its colour, and a part that its number tells."""
    part = PARTS[number % len(PARTS)]
    ends = [f"a {size} {part}" for size in ("long", "short", "small", "large", "sharp")]
    return [f"This {kind} bird is {colour}, with {end}." for kind in ("little", "big") for end in ends]


def write_images(place, per_class=5):
    """20 JPEGs of 4 classes, the last two of each class for testing, and their lists. Each bird is a disc in its box."""
    home, rows = place / "CUB_200_2011", []
    for c, (name, colour) in enumerate(COLOURS.items(), 1):
        (home / "images" / name).mkdir(parents=True)
        for number in range(per_class):
            picture = Image.new("RGB", (60, 48), (90, 80, 60 + 10 * number))
            box = 8 + 2 * number, 6, 24, 24
            ImageDraw.Draw(picture).ellipse((*box[:2], box[0] + 24, box[1] + 24), fill=colour)
            picture.save(home / "images" / name / f"Bird_{number}.jpg", quality=95)
            rows.append((len(rows) + 1, f"{name}/Bird_{number}.jpg", c, int(number < per_class - 2), box))
    lists = {
        "images.txt": [f"{i} {file}" for i, file, *_ in rows],
        "image_class_labels.txt": [f"{i} {c}" for i, _, c, *_ in rows],
        "train_test_split.txt": [f"{i} {train}" for i, _, _, train, _ in rows],
        "bounding_boxes.txt": [f"{i} {' '.join(f'{x}.0' for x in box)}" for i, *_, box in rows],
        "classes.txt": [f"{c} {name}" for c, name in enumerate(COLOURS, 1)],
    }
    for name, lines in lists.items():
        (home / name).write_text("\n".join(lines) + "\n")


def write_captions(place, per_class=5):
    """Ten captions of every image but the first, and of two birds that have none."""
    for class_name, colour in {**COLOURS, "005.Black_bird": "black"}.items():
        (place / "text_c10" / class_name).mkdir(parents=True)
        for number in range(2 if colour == "black" else per_class):
            if (colour, number) != ("red", 0):
                file = place / "text_c10" / class_name / f"Bird_{number}.txt"
                file.write_text("\n".join(captions(colour, number)) + "\n")


def miniature(place):
    """A data folder with a CUB of 20 images, 19 of them with captions."""
    write_images(place / "cub")
    write_captions(place / "cub")
    return place
