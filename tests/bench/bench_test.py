# SPDX-License-Identifier: GPL-2.0-only
"""Statistics, tables and plots of the benchmark, by known values."""
import os
import random
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import figures  # noqa: E402
import layouts  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import run  # noqa: E402
import stats  # noqa: E402
import variants  # noqa: E402


def result(ours, theirs):
    """A result with one figure; None: a run that failed."""
    def runs(values):
        return [value and {"gbit_s": value, "cpu_s_gib": 10 / value, "bytes": 1} for value in values]
    return {"when": "2026-01-01T00:00:00", "pairs": len(ours), "seconds": 1.0, "idle_noise": [0.01, 0.02],
            "machine": {"cpu": "a | b", "cores": 2, "memory": "1 kB", "kernel": "6.1", "commit": "abc", "changed": False},
            "results": {"download-1": {"direct": runs(theirs), "netferry": runs(ours)}},
            "what": {"direct": "the limit", "netferry": "ours"}, "skipped": {"frp": "frps not on PATH"},
            "failures": [], "memory": {"connections": 10, "kib": {"netferry": {"relay": 1.5}}}}


def both_layouts():
    """Relay alone beside it: there Netferry is at a fifth of HAProxy's rate and a tenth of the limit's."""
    made = result([4], [8])
    made["results"]["alone-download-1"] = {
        name: [{"gbit_s": rate, "cpu_s_gib": 1, "bytes": 1}]
        for name, rate in (("alone-direct", 20), ("alone-netferry", 2), ("alone-haproxy", 10))}
    made["what"].update({"alone-direct": "the limit", "alone-netferry": "no agent", "alone-haproxy": "one proxy"})
    made["skipped"]["alone-nginx"] = "nginx not on PATH"
    made["layouts"] = {name: "alone" if name.startswith("alone-") else "whole"
                       for name in (*made["what"], *made["skipped"])}
    return made


class Interval(unittest.TestCase):
    def test_ranks_of_the_sign_test(self):
        # Tables of the sign test: of 15 values the 4th smallest to the 4th largest, of 20 the 6th.
        for count, rank in ((15, 4), (20, 6), (8, 1), (6, 1)):
            _, low, high = stats.median_interval(list(range(1, count + 1)))
            self.assertEqual((low, high), (rank, count + 1 - rank), count)

    def test_few_values_are_their_range(self):
        self.assertEqual(stats.median_interval([3, 1, 2]), (2, 1, 3))
        self.assertEqual(stats.median_interval([7]), (7, 7, 7))
        with self.assertRaises(ValueError):
            stats.median_interval([])

    def test_the_interval_covers_the_median_as_often_as_it_says(self):
        source = random.Random(5)
        covered = 0
        for _ in range(2000):
            _, low, high = stats.median_interval([source.expovariate(1) for _ in range(15)])
            covered += low <= 0.6931471805599453 <= high
        self.assertGreater(covered, 1900)

    def test_verdicts(self):
        self.assertEqual(stats.verdict([1.1, 1.2, 1.3]), "faster")
        self.assertEqual(stats.verdict([0.8, 0.7, 0.9]), "slower")
        self.assertEqual(stats.verdict([0.8, 1.1, 0.9]), "no difference")
        self.assertEqual(stats.verdict([1.1, 1.2, 1.3], higher_is_better=False), "slower")

    def test_a_missing_run_takes_its_pair_along(self):
        self.assertEqual(stats.paired([2, None, 6], [1, 1, 3]), [2, 2])
        self.assertEqual(stats.paired([2, 4], [None, 2]), [2])


class Pages(unittest.TestCase):
    def test_shares_are_of_the_same_round(self):
        found = report.share(result([1, 20, 300], [2, 40, 600]), "download-1", "netferry", "direct", "gbit_s")
        self.assertEqual(found, (0.5, 0.5, 0.5))

    def test_the_page_keeps_what_is_around_and_names_the_machine(self):
        with tempfile.TemporaryDirectory() as directory:
            page = os.path.join(directory, "benchmarks.md")
            with open(page, "w") as file:
                file.write(f"before\n{report.HEAD}\nold\n{report.TAIL}\nafter\n")
            report.write_pages(result([4, None, 5, 6], [8, 8, 8, 8]), directory)
            with open(page) as file:
                text = file.read()
            for part in ("before\n", "after\n", "commit abc", "Linux 6.1", "1.0%, 2.0%", "0.62 (0.50-0.75)", "frps not on PATH"):
                self.assertIn(part, text)
            self.assertNotIn("old", text)
            self.assertTrue(os.path.exists(os.path.join(directory, "benchmarks", "download-1.svg")))

    def test_without_marks_nothing_is_written(self):
        with tempfile.TemporaryDirectory() as directory:
            page = os.path.join(directory, "benchmarks.md")
            with open(page, "w") as file:
                file.write("no marks\n")
            with self.assertRaises(ValueError):
                report.write_pages(result([1], [1]), directory)
            with open(page) as file:
                self.assertEqual(file.read(), "no marks\n")

    def test_a_variant_that_failed_is_named(self):
        self.assertIn("failed", report.markdown(result([None], [1])))


class Layouts(unittest.TestCase):
    def test_names_are_unique_and_tell_the_layout(self):
        for known in (variants.ALL, figures.ALL):
            names = [each.name for each in known]
            self.assertEqual(len(names), len(set(names)))
            for each in known:
                self.assertEqual(each.name.startswith("alone-"), each.layout == layouts.ALONE, each.name)
                self.assertEqual(layouts.full(each.layout, layouts.short(each.layout, each.name)), each.name)

    def test_no_two_listeners_of_the_relay_share_a_port(self):
        # The proxies' second hops, 50 further, are in another namespace.
        own = [kind for kind in variants.ALL if kind.offset]
        ports = [service + kind.offset for kind in own for service in kind.services]
        ports += [kind.tunnel for kind in own if hasattr(kind, "tunnel")]
        self.assertEqual(len(ports), len(set(ports)))

    def test_each_layout_has_both_bases(self):
        names = [kind.name for kind in variants.ALL]
        for layout in layouts.ALL:
            for base in report.BASES:
                self.assertIn(layouts.full(layout, base), names)

    def test_shares_are_of_the_same_layout(self):
        figure = next(figure for figure in figures.ALL if figure.name == "alone-download-1")
        lines = {line[0]: line for line in report.rows(both_layouts(), figure)}
        self.assertEqual(lines["netferry"][3::2], ["0.10 (0.10-0.10)", "0.20 (0.20-0.20)"])

    def test_the_page_has_a_section_each(self):
        text = report.markdown(both_layouts())
        whole, alone = text.split("### Relay alone: visitor")
        self.assertIn("### Whole path", whole)
        self.assertIn("#### Download, 1 stream", whole)
        self.assertIn("| frp | not measured", whole)
        self.assertIn("#### Relay alone: download, 1 stream", alone)
        self.assertIn("| netferry | no agent |", alone)
        self.assertIn("| nginx | not measured: nginx", alone)
        self.assertIn("](benchmarks/alone-download-1.svg)", alone)
        for other, part in (("no agent", whole), ("frp", alone)):
            self.assertNotIn(other, part)

    def test_a_layout_that_was_not_measured_has_no_section(self):
        self.assertNotIn("Relay alone", report.markdown(result([4], [8])))

    def test_only_pairs_of_one_layout_are_measured(self):
        class Figure:
            def __init__(self, name, layout):
                self.name, self.layout = name, layout

            def run(self, lab, variant, seconds):
                return variant.layout

        class Known:
            lab = None
            variants = [Figure(name, layout) for name, layout in (("a", "whole"), ("b", "alone"), ("c", "alone"))]
        found, failures = run.measure(Known, [Figure("f", "whole"), Figure("g", "alone")], 3, 1, lambda *_, **__: None)
        self.assertEqual(found, {"f": {"a": ["whole"] * 3}, "g": {"b": ["alone"] * 3, "c": ["alone"] * 3}})
        self.assertEqual(failures, [])


class Plot(unittest.TestCase):
    def test_bars_are_as_long_as_their_values_and_the_text_is_escaped(self):
        text = plot.bars("a < b", "Gb/s", [("direct", 10, 9, 11), ("netferry", 5, 5, 5)])
        rects = xml.dom.minidom.parseString(text).getElementsByTagName("rect")[1:]
        widths = [float(rect.getAttribute("width")) for rect in rects]
        self.assertAlmostEqual(widths[0], 2 * widths[1], delta=0.2)


class Flags(unittest.TestCase):
    def test_unknown_names_are_refused_with_those_there_are(self):
        for words in (["--only", "nothing"], ["--figures", "speed"], ["--pairs", "0"], ["--seconds", "0"]):
            with self.assertRaises(SystemExit) as ended:
                run.parse(words)
            self.assertEqual(ended.exception.code, 2)

    def test_names_choose(self):
        options = run.parse(["--only", "direct,netferry", "--figures", "connect"])
        self.assertEqual([kind.name for kind in options.variants], ["direct", "netferry"])
        self.assertEqual([figure.name for figure in options.measured], ["connect"])

    def test_a_layout_chooses(self):
        options = run.parse(["--layout", "alone"])
        self.assertEqual({each.layout for each in (*options.variants, *options.measured)}, {"alone"})
        self.assertEqual({kind.layout for kind in run.parse([]).variants}, {"whole", "alone"})

    def test_what_has_no_partner_is_left_out(self):
        options = run.parse(["--figures", "alone-upload-8"])
        self.assertEqual({kind.layout for kind in options.variants}, {"alone"})
        options = run.parse(["--only", "netferry"])
        self.assertEqual({figure.layout for figure in options.measured}, {"whole"})

    def test_nothing_left_to_measure_is_refused(self):
        for words in (["--only", "direct", "--figures", "alone-upload-1"], ["--layout", "alone", "--only", "direct"]):
            with self.assertRaises(SystemExit) as ended:
                run.parse(words)
            self.assertEqual(ended.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
