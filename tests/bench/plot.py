# SPDX-License-Identifier: GPL-2.0-only
"""A bar a variant with the interval of its median, as SVG. Pure."""
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 130, 110, 26, 44
OURS, OTHERS, LIMIT = "#2b6cb0", "#a0aec0", "#38a169"


def _colour(name):
    return OURS if name.startswith("netferry") else LIMIT if name == "direct" else OTHERS


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bars(title, unit, values):
    """values: (name, median, low, high) from the top down."""
    height = TOP + ROW * len(values) + 14
    largest = max((high for _, _, _, high in values), default=1) or 1
    scale = (WIDTH - LEFT - RIGHT) / largest
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="10" y="24" font-size="15">{escape(title)}, {escape(unit)}</text>']
    for row, (name, median, low, high) in enumerate(values):
        y = TOP + row * ROW
        middle = y + ROW / 2 - 3
        out.append(f'<text x="{LEFT - 8}" y="{middle + 5:.1f}" text-anchor="end">{escape(name)}</text>')
        out.append(f'<rect x="{LEFT}" y="{y}" width="{median * scale:.1f}" height="{ROW - 6}" fill="{_colour(name)}"/>')
        out.append(f'<line x1="{LEFT + low * scale:.1f}" x2="{LEFT + high * scale:.1f}" y1="{middle:.1f}" '
                   f'y2="{middle:.1f}" stroke="black"/>')
        out.append(f'<text x="{LEFT + high * scale + 6:.1f}" y="{middle + 5:.1f}">{_number(median)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
