# SPDX-License-Identifier: Apache-2.0
"""A terminal session as an SVG picture, for the README."""
from xml.sax.saxutils import escape

WIDTH, LINE, MARGIN, COLUMN = 106, 19, 16, 8.45  # columns, pixels
BLANK = "\u00a0"  # others are taken together


def draw(session, path, most=34):
    """session: [command, output]. As many whole commands as fit into `most` lines."""
    lines = []
    for command, output in session:
        more = [("$ " + line if i == 0 else "  " + line, True) for i, line in enumerate(command.splitlines())]
        more += [(line, False) for line in output.splitlines()]
        if len(lines) + len(more) > most:
            break
        lines += more
    width, height = WIDTH * COLUMN + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN
    text = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}">',
            f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#12181f"/>',
            '<g font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14">']
    for number, (line, typed) in enumerate(lines):
        colour = "#9fd3ff" if typed else "#e6edf3"
        text.append(f'<text x="{MARGIN}" y="{MARGIN + 14 + number * LINE}" fill="{colour}">{escape(line[:WIDTH]).replace(" ", BLANK)}</text>')
    path.write_text("\n".join(text + ["</g>", "</svg>"]) + "\n")
