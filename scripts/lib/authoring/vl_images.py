"""The vision suite's images: the same pixels on every machine with the same Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Color = tuple[int, int, int]
WHITE, BLACK, GREY, PALE = (255, 255, 255), (20, 20, 20), (150, 150, 150), (225, 230, 240)
RED, BLUE, GREEN = (205, 50, 45), (45, 95, 185), (50, 145, 75)
ORANGE, PURPLE = (225, 140, 35), (125, 75, 160)


def _around(centre: Point, radius: float, angle: float) -> Point:
    """The point on a circle at an angle in radians."""
    return centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)


class Canvas:
    """A white image, and the shapes of charts and forms. Pixels, origin at the top left."""

    def __init__(self, width: int, height: int, title: str = ""):
        self.image = Image.new("RGB", (width, height), WHITE)
        self.pen = ImageDraw.Draw(self.image)
        self.text((width // 2, 24), title, 26, "mm")

    def text(
        self, at: Point, words: str, size: int = 22, anchor: str = "lt", color: Color = BLACK
    ) -> None:
        """Write words; `anchor` as Pillow's (`mm`: centred on the point)."""
        self.pen.text(at, words, fill=color, font=ImageFont.load_default(size), anchor=anchor)

    def box(
        self, left: float, top: float, width: float, height: float, fill: Color = WHITE
    ) -> None:
        """A rectangle with a black outline."""
        self.pen.rectangle((left, top, left + width, top + height), fill, BLACK, 2)

    def line(self, points: Sequence[Point], color: Color = BLACK, width: int = 3) -> None:
        """A line through the points."""
        self.pen.line(list(points), color, width)

    def dot(self, at: Point, radius: float, fill: Color) -> None:
        """A circle with a black outline."""
        x, y = at
        self.pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill, BLACK, 2)

    def arrow(self, start: Point, end: Point) -> None:
        """A line with a head at its end."""
        self.line([start, end])
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        self.pen.polygon([end, *(_around(end, -14, angle + a) for a in (0.45, -0.45))], BLACK)


def bar_chart() -> Image.Image:
    """Visitors per day; Thursday has the most."""
    canvas = Canvas(640, 420, "Visitors per day")
    canvas.line([(70, 370), (610, 370)])
    visitors = {"Mon": 120, "Tue": 90, "Wed": 150, "Thu": 210, "Fri": 180}
    for left, (day, value) in zip(range(95, 620, 105), visitors.items(), strict=True):
        canvas.box(left, 370 - 1.4 * value, 65, 1.4 * value, BLUE)
        canvas.text((left + 32, 390), day, 22, "mm")
    return canvas.image


def order_form() -> Image.Image:
    """A filled form: order number 7305, 12 pieces, express."""
    canvas = Canvas(640, 380)
    canvas.text((30, 24), "ORDER FORM", 30)
    fields = {"Name": "L. Marten", "Order no.": "7305", "Quantity": "12", "Article": "Lamp, brass"}
    for top, (label, value) in zip(range(84, 300, 56), fields.items(), strict=True):
        canvas.text((30, top + 10), label)
        canvas.box(200, top, 400, 42)
        canvas.text((214, top + 10), value)
    canvas.text((30, 321), "Delivery")
    for left, label in ((200, "Standard"), (340, "Express"), (480, "Pick-up")):
        canvas.box(left, 320, 24, 24)
        canvas.text((left + 34, 321), label, 20)
    canvas.line([(344, 332), (351, 340), (361, 323)], width=4)
    return canvas.image


def shapes() -> Image.Image:
    """Five red circles, three blue squares, two green triangles, one red square."""
    canvas = Canvas(640, 420)
    for at in ((80, 90), (250, 70), (420, 180), (130, 330), (560, 340)):
        canvas.dot(at, 38, RED)
    squares = ((320, 40, BLUE), (60, 180, BLUE), (440, 300, BLUE), (240, 170, RED))
    for left, top, color in squares:
        canvas.box(left, top, 70, 70, color)
    for x, y in ((560, 120), (290, 330)):
        canvas.pen.polygon([(x, y - 45), (x - 45, y + 35), (x + 45, y + 35)], GREEN, BLACK)
    return canvas.image


def price_table() -> Image.Image:
    """Article, price and stock; the blue mug has the smallest stock."""
    canvas = Canvas(640, 360)
    rows = (
        ("Article", "Price", "Stock"),
        ("Red mug", "7.50", "41"),
        ("Blue mug", "8.20", "6"),
        ("Bowl", "11.00", "18"),
        ("Plate", "9.40", "25"),
        ("Jug", "23.90", "9"),
    )
    for top, row in zip(range(20, 340, 54), rows, strict=True):
        for left, width, value in zip((20, 270, 450), (250, 180, 170), row, strict=True):
            canvas.box(left, top, width, 54, WHITE if top > 20 else PALE)
            canvas.text((left + 16, top + 27), value, 24, "lm")
    return canvas.image


def pie_chart() -> Image.Image:
    """Shares of energy: gas 35 %, wind 30 %, sun 20 %, water 15 %."""
    canvas, start = Canvas(640, 420, "Energy by source"), -90.0
    parts = (("Gas", 35, ORANGE), ("Wind", 30, BLUE), ("Sun", 20, RED), ("Water", 15, GREEN))
    for top, (name, share, color) in zip(range(110, 350, 60), parts, strict=True):
        end = start + 3.6 * share
        canvas.pen.pieslice((60, 60, 390, 390), start, end, color, BLACK, 2)
        middle = _around((225, 225), 100, math.radians((start + end) / 2))
        canvas.text(middle, f"{share} %", 24, "mm", WHITE)
        canvas.box(440, top, 30, 30, color)
        canvas.text((486, top + 15), name, 24, "lm")
        start = end
    return canvas.image


def flow_chart() -> Image.Image:
    """Receive order, check stock; yes: pack, ship; no: order parts, call customer, begin again."""
    canvas = Canvas(700, 480)
    boxes = (
        ("Receive order", 120, 50),
        ("Check stock", 120, 170),
        ("Pack", 120, 300),
        ("Ship", 120, 420),
        ("Order parts", 430, 170),
        ("Call customer", 430, 300),
    )
    for words, x, y in boxes:
        canvas.box(x - 95, y - 30, 190, 60, PALE)
        canvas.text((x, y), words, 22, "mm")
    for x, top, bottom in ((120, 80, 140), (120, 200, 270), (120, 330, 390), (430, 200, 270)):
        canvas.arrow((x, top), (x, bottom))
    canvas.arrow((215, 170), (335, 170))
    canvas.line([(525, 300), (620, 300), (620, 50), (400, 50)])
    canvas.arrow((400, 50), (215, 50))
    canvas.text((275, 152), "no", 22, "mm")
    canvas.text((142, 236), "yes", 22, "lm")
    return canvas.image


def clock() -> Image.Image:
    """An analogue clock at 7:20."""
    canvas, centre = Canvas(420, 420), (210, 210)
    canvas.dot(centre, 190, WHITE)
    for hour in range(1, 13):
        at = _around(centre, 160, math.radians(30 * hour - 90))
        canvas.text(at, str(hour), 28, "mm")
    for degrees, length, width in ((30 * (7 + 20 / 60) - 90, 90, 9), (6 * 20 - 90, 140, 5)):
        end = _around(centre, length, math.radians(degrees))
        canvas.line([centre, end], width=width)
    canvas.dot(centre, 8, BLACK)
    return canvas.image


def line_chart() -> Image.Image:
    """Two lines from January to June; tea passes coffee between March and April."""
    canvas = Canvas(680, 440, "Cups sold (thousands)")
    canvas.line([(70, 60), (70, 380), (650, 380)])
    for value in (10, 20, 30, 40):
        y = 380 - 7.5 * value
        canvas.line([(70, y), (650, y)], (220, 220, 220), 1)
        canvas.text((58, y), str(value), 20, "rm")
    columns = range(110, 660, 100)
    for x, month in zip(columns, ("Jan", "Feb", "Mar", "Apr", "May", "Jun"), strict=True):
        canvas.text((x, 400), month, 22, "mm")
    for name, values, color in (
        ("coffee", (35, 33, 28, 22, 20, 18), PURPLE),
        ("tea", (10, 14, 20, 26, 34, 40), GREEN),
    ):
        points = [(x, 380 - 7.5 * value) for x, value in zip(columns, values, strict=True)]
        canvas.line(points, color, 4)
        for point in points:
            canvas.dot(point, 6, color)
        x, y = points[-1]
        canvas.text((x + 8, y - 20), name, 22, "mm", color)
    return canvas.image


def invoice() -> Image.Image:
    """Three items and a wrong total: 4 x 12.50 + 2 x 30.00 + 5 x 3.20 = 126.00, not 136.00."""
    canvas = Canvas(680, 420)
    canvas.text((30, 24), "INVOICE 2217", 30)
    rows = (
        ("Item", "Qty", "Unit price"),
        ("Oak shelf", "4", "12.50"),
        ("Wall lamp", "2", "30.00"),
        ("Screw set", "5", "3.20"),
    )
    for top, row in zip(range(90, 280, 50), rows, strict=True):
        canvas.line([(30, top + 42), (650, top + 42)], GREY, 1)
        for left, value in zip((40, 330, 470), row, strict=True):
            canvas.text((left, top + 20), value, 24, "lm")
    canvas.text((330, 330), "Total", 28, "lm")
    canvas.text((470, 330), "136.00", 28, "lm")
    canvas.text((30, 385), "All prices in euros, no tax added.", 20, color=GREY)
    return canvas.image


NODES: Mapping[str, Point] = {
    "A": (70, 210),
    "B": (230, 80),
    "C": (230, 340),
    "D": (420, 80),
    "E": (420, 340),
    "F": (590, 210),
}
# Lengths of the roads in km.
ROADS: Mapping[tuple[str, str], int] = {
    ("A", "B"): 4,
    ("A", "C"): 2,
    ("B", "D"): 5,
    ("B", "C"): 1,
    ("C", "E"): 9,
    ("D", "E"): 2,
    ("D", "F"): 6,
    ("E", "F"): 3,
}


def road_map() -> Image.Image:
    """Six towns and their roads with lengths; the shortest way from A to F: A-C-B-D-E-F, 13 km."""
    canvas = Canvas(660, 420)
    for (a, b), length in ROADS.items():
        canvas.line([NODES[a], NODES[b]], GREY, 4)
        x, y = ((p + q) / 2 for p, q in zip(NODES[a], NODES[b], strict=True))
        canvas.pen.rectangle((x - 16, y - 16, x + 16, y + 16), WHITE)
        canvas.text((x, y), str(length), 26, "mm", BLUE)
    for name, at in NODES.items():
        canvas.dot(at, 26, PALE)
        canvas.text(at, name, 28, "mm")
    return canvas.image


_DRAWN = (
    *(bar_chart, order_form, shapes, price_table, pie_chart),
    *(flow_chart, clock, line_chart, invoice, road_map),
)
IMAGES: Mapping[str, Callable[[], Image.Image]] = {draw.__name__: draw for draw in _DRAWN}
