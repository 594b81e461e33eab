"""A model goes on learning from a site's own tumour-free scans, in stages that survive a crash."""
