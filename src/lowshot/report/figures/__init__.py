"""The figures of reports. No module of this package imports matplotlib before the line below."""

from lowshot.plotting import import_matplotlib

import_matplotlib()
