"""Many studies analysed side by side, each with a report and a line in a table.

Nothing is imported here: a child process must know its share of the cores before numpy and
OpenVINO count them. `analysing.analyse_each` is where to begin.
"""
