"""Open the widget's doors in an app: the script, the page in the frame, the way to the demo shop."""

from flask import Flask

from web.widget.demo import to_partner
from web.widget.frame_page import frame_page
from web.widget.host_script import host_script


def register(app: Flask) -> None:
    app.add_url_rule("/widget.js", "widget_script", host_script)
    app.add_url_rule("/widget/<uuid:vendor_id>", "widget_frame", frame_page)
    app.add_url_rule("/demo/partner", "demo_partner", to_partner)
