"""SVG drawings from plain values: line chart, bars, sparkline, swim lanes, lineage graph. Pure, without script.

A drawing has a title and a description in words, tells kinds apart by shapes and words, and takes the colour of the
text around it. Classes name the parts for a style sheet.
"""
