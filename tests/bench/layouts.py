# SPDX-License-Identifier: GPL-2.0-only
"""What stands between visitor and server. A figure and a variant belong to one layout each; only such pairs are measured.

Pure. In names of variants and figures, which are unique over all layouts, the layout is a prefix.
"""
WHOLE, ALONE = "whole", "alone"
ALL = (WHOLE, ALONE)
TITLES = {WHOLE: "Whole path: visitor, relay, agent, target", ALONE: "Relay alone: visitor, relay, target"}
_PREFIXES = {WHOLE: "", ALONE: "alone-"}


def full(layout, name):
    return _PREFIXES[layout] + name


def short(layout, name):
    """The name where the layout is clear."""
    return name.removeprefix(_PREFIXES[layout])


def of(layout, things):
    return [thing for thing in things if thing.layout == layout]


def matching(variants, figures):
    """Those of both that have at least one partner."""
    return ([variant for variant in variants if of(variant.layout, figures)],
            [figure for figure in figures if of(figure.layout, variants)])
