"""placeholder until the reports land"""

from agent.services import Services


def write_technical_log(services: Services) -> None:
    del services


def write_digest(services: Services, slot: str) -> None:
    del services, slot
