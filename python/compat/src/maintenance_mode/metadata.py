"""Who made this, and which version it is: that of `maint`."""

__author__ = "The maint project"
__copyright__ = "Copyright (c) 2026 the maint project"
__description__ = "Runs projects of django-maintenance-mode on maint, unchanged."
__license__ = "MIT OR Apache-2.0"
__title__ = "maint-maintenance-mode"
__version__ = "0.1.0"
