"""The vision suite's images, one function each: the same pixels on any machine with the same Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
WHITE, BLACK, GREY = (255, 255, 255), (20, 20, 20), (150, 150, 150)
RED, BLUE, GREEN, ORANGE, PURPLE = (
    (205, 50, 45),
    (45, 95, 185),
    (50, 145, 75),
    (225, 140, 35),
    (125, 75, 160),
)


class Canvas:
    """A white image with the few shapes that charts and forms are made of. Lengths in pixels, origin at the top left."""

    def __init__(self, width: int, height: int):
        self.image = Image.new("RGB", (width, height), WHITE)
        self.pen = ImageDraw.Draw(self.image)

    def text(
        self,
        at: Point,
        words: str,
        size: int = 22,
        anchor: str = "lt",
        color: tuple[int, int, int] = BLACK,
    ) -> None:
        """Write words; `anchor` as Pillow's (`mm`: centred on the point)."""
        self.pen.text(at, words, fill=color, font=ImageFont.load_default(size), anchor=anchor)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: tuple[int, int, int] = WHITE,
    ) -> None:
        self.pen.rectangle((left, top, right, bottom), fill=fill, outline=BLACK, width=2)

    def line(
        self, points: Sequence[Point], color: tuple[int, int, int] = BLACK, width: int = 3
    ) -> None:
        self.pen.line(list(points), fill=color, width=width)

    def dot(self, at: Point, radius: float, fill: tuple[int, int, int]) -> None:
        x, y = at
        self.pen.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=fill, outline=BLACK, width=2
        )

    def arrow(self, start: Point, end: Point) -> None:
        """A line with a head at its end."""
        self.line([start, end])
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        wings = [
            (end[0] - 14 * math.cos(angle + a), end[1] - 14 * math.sin(angle + a))
            for a in (0.45, -0.45)
        ]
        self.pen.polygon([end, *wings], fill=BLACK)


def bar_chart() -> Image.Image:
    """Visitors per day; Thursday is the highest."""
    canvas = Canvas(640, 420)
    canvas.text((320, 24), "Visitors per day", 26, "mm")
    canvas.line([(70, 370), (610, 370)])
    for index, (day, value) in enumerate(
        {"Mon": 120, "Tue": 90, "Wed": 150, "Thu": 210, "Fri": 180}.items()
    ):
        left = 95 + 105 * index
        canvas.box(left, 370 - 1.4 * value, left + 65, 370, BLUE)
        canvas.text((left + 32, 390), day, 22, "mm")
    return canvas.image


def order_form() -> Image.Image:
    """A filled form: order number 7305, 12 pieces, express."""
    canvas = Canvas(640, 380)
    canvas.text((30, 24), "ORDER FORM", 30)
    fields = {"Name": "L. Marten", "Order no.": "7305", "Quantity": "12", "Article": "Lamp, brass"}
    for index, (label, value) in enumerate(fields.items()):
        top = 84 + 56 * index
        canvas.text((30, top + 10), label)
        canvas.box(200, top, 600, top + 42)
        canvas.text((214, top + 10), value)
    for index, (label, ticked) in enumerate(
        {"Standard": False, "Express": True, "Pick-up": False}.items()
    ):
        left = 200 + 140 * index
        canvas.box(left, 320, left + 24, 344)
        if ticked:
            canvas.line([(left + 4, 332), (left + 11, 340), (left + 21, 323)], width=4)
        canvas.text((left + 34, 321), label, 20)
    canvas.text((30, 321), "Delivery")
    return canvas.image


def shapes() -> Image.Image:
    """Five red circles, three blue squares, two green triangles, one red square."""
    canvas = Canvas(640, 420)
    for at in ((80, 90), (250, 70), (420, 180), (130, 330), (560, 340)):
        canvas.dot(at, 38, RED)
    for left, top in ((320, 40), (60, 180), (440, 300)):
        canvas.box(left, top, left + 70, top + 70, BLUE)
    for x, y in ((560, 120), (290, 330)):
        canvas.pen.polygon(
            [(x, y - 45), (x - 45, y + 35), (x + 45, y + 35)], fill=GREEN, outline=BLACK
        )
    canvas.box(240, 170, 310, 240, RED)
    return canvas.image


def price_table() -> Image.Image:
    """Article, price and stock; the blue mug has the smallest stock."""
    canvas = Canvas(640, 360)
    rows = [
        ("Article", "Price", "Stock"),
        ("Red mug", "7.50", "41"),
        ("Blue mug", "8.20", "6"),
        ("Bowl", "11.00", "18"),
    ]
    rows += [("Plate", "9.40", "25"), ("Jug", "23.90", "9")]
    for number, row in enumerate(rows):
        top = 20 + 54 * number
        for left, width, value in zip((20, 270, 450), (250, 180, 170), row, strict=True):
            canvas.box(left, top, left + width, top + 54, (225, 230, 240) if number == 0 else WHITE)
            canvas.text((left + 16, top + 27), value, 24, "lm")
    return canvas.image


def pie_chart() -> Image.Image:
    """Shares of energy: gas 35 %, wind 30 %, sun 20 %, water 15 %."""
    canvas = Canvas(640, 420)
    canvas.text((320, 24), "Energy by source", 26, "mm")
    start = -90.0
    parts = {"Gas": (35, ORANGE), "Wind": (30, BLUE), "Sun": (20, RED), "Water": (15, GREEN)}
    for index, (name, (share, color)) in enumerate(parts.items()):
        end = start + 3.6 * share
        canvas.pen.pieslice((60, 60, 390, 390), start, end, fill=color, outline=BLACK, width=2)
        middle = math.radians((start + end) / 2)
        canvas.text(
            (225 + 100 * math.cos(middle), 225 + 100 * math.sin(middle)),
            f"{share} %",
            24,
            "mm",
            WHITE,
        )
        canvas.box(440, 110 + 60 * index, 470, 140 + 60 * index, color)
        canvas.text((486, 125 + 60 * index), name, 24, "lm")
        start = end
    return canvas.image


def flow_chart() -> Image.Image:
    """Receive order, check stock; yes: pack, ship; no: order parts, call customer, back to the first box."""
    canvas = Canvas(700, 480)
    boxes = {
        "Receive order": (120, 50),
        "Check stock": (120, 170),
        "Pack": (120, 300),
        "Ship": (120, 420),
    }
    boxes |= {"Order parts": (430, 170), "Call customer": (430, 300)}
    for words, (x, y) in boxes.items():
        canvas.box(x - 95, y - 30, x + 95, y + 30, (225, 230, 240))
        canvas.text((x, y), words, 22, "mm")
    for start, end in (((120, 80), (120, 140)), ((120, 200), (120, 270)), ((120, 330), (120, 390))):
        canvas.arrow(start, end)
    canvas.arrow((215, 170), (335, 170))
    canvas.arrow((430, 200), (430, 270))
    canvas.line([(525, 300), (620, 300), (620, 50), (400, 50)])
    canvas.arrow((400, 50), (215, 50))
    canvas.text((275, 152), "no", 22, "mm")
    canvas.text((142, 236), "yes", 22, "lm")
    return canvas.image


def clock() -> Image.Image:
    """An analogue clock at 7:20."""
    canvas = Canvas(420, 420)
    canvas.dot((210, 210), 190, WHITE)
    for hour in range(1, 13):
        angle = math.radians(30 * hour - 90)
        canvas.text((210 + 160 * math.cos(angle), 210 + 160 * math.sin(angle)), str(hour), 28, "mm")
    for degrees, length, width in ((30 * (7 + 20 / 60) - 90, 90, 9), (6 * 20 - 90, 140, 5)):
        angle = math.radians(degrees)
        canvas.line(
            [(210, 210), (210 + length * math.cos(angle), 210 + length * math.sin(angle))],
            BLACK,
            width,
        )
    canvas.dot((210, 210), 8, BLACK)
    return canvas.image


def line_chart() -> Image.Image:
    """Two lines from January to June; tea passes coffee between March and April."""
    canvas = Canvas(680, 440)
    canvas.text((340, 24), "Cups sold (thousands)", 26, "mm")
    canvas.line([(70, 60), (70, 380), (650, 380)])
    for value in (10, 20, 30, 40):
        y = 380 - 7.5 * value
        canvas.line([(70, y), (650, y)], (220, 220, 220), 1)
        canvas.text((58, y), str(value), 20, "rm")
    columns = [110 + 100 * n for n in range(6)]
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
        canvas.text((points[-1][0] + 8, points[-1][1] - 20), name, 22, "mm", color)
    return canvas.image


def invoice() -> Image.Image:
    """Three items and a printed total that is wrong: 4 x 12.50 + 2 x 30.00 + 5 x 3.20 = 126.00, not 136.00."""
    canvas = Canvas(680, 420)
    canvas.text((30, 24), "INVOICE 2217", 30)
    rows = [
        ("Item", "Qty", "Unit price"),
        ("Oak shelf", "4", "12.50"),
        ("Wall lamp", "2", "30.00"),
        ("Screw set", "5", "3.20"),
    ]
    for number, row in enumerate(rows):
        top = 90 + 50 * number
        canvas.line([(30, top + 42), (650, top + 42)], GREY, 1)
        for left, value in zip((40, 330, 470), row, strict=True):
            canvas.text((left, top + 20), value, 24, "lm")
    canvas.text((330, 330), "Total", 28, "lm")
    canvas.text((470, 330), "136.00", 28, "lm")
    canvas.text((30, 385), "All prices in euros, no tax added.", 20, color=GREY)
    return canvas.image


NODES: Mapping[str, Point] = MappingProxyType(
    {
        "A": (70, 210),
        "B": (230, 80),
        "C": (230, 340),
        "D": (420, 80),
        "E": (420, 340),
        "F": (590, 210),
    }
)
# Lengths of the roads in km.
ROADS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("A", "B"): 4,
        ("A", "C"): 2,
        ("B", "D"): 5,
        ("B", "C"): 1,
        ("C", "E"): 9,
        ("D", "E"): 2,
        ("D", "F"): 6,
        ("E", "F"): 3,
    }
)


def road_map() -> Image.Image:
    """Six towns and their roads with lengths; the shortest way from A to F is A-C-B-D-E-F, 13 km."""
    canvas = Canvas(660, 420)
    for (a, b), length in ROADS.items():
        (ax, ay), (bx, by) = NODES[a], NODES[b]
        canvas.line([NODES[a], NODES[b]], GREY, 4)
        middle = ((ax + bx) / 2, (ay + by) / 2)
        canvas.pen.rectangle(
            (middle[0] - 16, middle[1] - 16, middle[0] + 16, middle[1] + 16), fill=WHITE
        )
        canvas.text(middle, str(length), 26, "mm", BLUE)
    for name, at in NODES.items():
        canvas.dot(at, 26, (225, 230, 240))
        canvas.text(at, name, 28, "mm")
    return canvas.image


IMAGES: Mapping[str, Callable[[], Image.Image]] = MappingProxyType(
    {
        made.__name__: made
        for made in (
            *(bar_chart, order_form, shapes, price_table, pie_chart),
            *(flow_chart, clock, line_chart, invoice, road_map),
        )
    }
)
